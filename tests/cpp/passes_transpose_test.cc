#include "cpp/check.h"
#include "cpp/passes_build.h"

using namespace quaver;
using namespace quaver::testing;

namespace {

std::string pushed(Graph& graph) {
  apply(graph, canonicalize);
  apply(graph, fold_constants_keep_quantized);
  apply(graph, push_transposes);
  apply(graph, fold_constants_keep_quantized);
  apply(graph, remove_dead);
  return ops(graph);
}

ValueId weight(Build& b, std::int64_t out, std::int64_t in) { return b.counting<float>("w", {out, in, 1, 1}); }

}  // namespace

TEST(push_transposes_cancels_between_convolutions) {
  Build b;
  const ValueId x = b.input("x", DType::f32, {kDynamic, 3, kDynamic, kDynamic});
  const ValueId first = b.relu(b.conv(x, weight(b, 8, 3)));
  ValueId y = b.conv(b.conv(first, weight(b, 8, 8)), weight(b, 8, 8));
  y = b.relu(b.node(Op::Add, {y, first}));
  y = b.node(Op::ReduceMean, {y}, Build::attr("axes", std::vector<std::int64_t>{2, 3}));
  b.output(b.node(Op::Flatten, {y}, Build::attr("axis", std::int64_t{1})));
  CHECK_EQ(pushed(b.graph), "Transpose Conv Clip Conv Conv Add Clip ReduceMean Reshape");
  CHECK_EQ(only(b.graph, Op::ReduceMean).attrs.ints("axes"), (std::vector<std::int64_t>{1, 2}));
  CHECK_EQ(b.graph.value(b.graph.outputs[0]).shape, (Dims{-1, 8}));
}

TEST(push_transposes_through_squeeze_and_excite) {
  Build b;
  const ValueId x = b.conv(b.input("x", DType::f32, {kDynamic, 3, 8, 8}), weight(b, 8, 3));
  ValueId s = b.node(Op::ReduceMean, {x}, [] {
    Attrs attrs = Build::attr("axes", std::vector<std::int64_t>{2, 3});
    attrs.set("keepdims", std::int64_t{0});
    return attrs;
  }());
  s = b.node(Op::Sigmoid, {b.node(Op::MatMul, {s, b.counting<float>("fc", {8, 8})})});
  s = b.node(Op::Reshape, {s, b.ints({-1, 8, 1, 1})});
  b.output(b.conv(b.node(Op::Mul, {x, s}), weight(b, 4, 8)));
  CHECK_EQ(pushed(b.graph), "Transpose Conv ReduceMean MatMul Sigmoid Reshape Mul Conv Transpose");
}

TEST(push_transposes_through_a_detection_head) {
  Build b;
  const ValueId x = b.conv(b.input("x", DType::f32, {1, 3, 8, 8}), weight(b, 8, 3));
  const auto parts = b.nodes(Op::Split, {x}, 2, Build::attr("axis", std::int64_t{1}));
  const ValueId gate = b.node(Op::Mul, {parts[0], b.node(Op::Sigmoid, {parts[0]})});
  ValueId y = b.node(Op::Concat, {gate, parts[1], b.relu(parts[1])}, Build::attr("axis", std::int64_t{-3}));
  y = b.node(Op::Slice, {y, b.ints({2, 0}), b.ints({10, 4}), b.ints({1, 3})});
  y = b.node(Op::Pad, {y, b.ints({0, 1, 2, 3, 0, 4, 5, 6})});
  y = b.node(Op::Softmax, {y}, Build::attr("axis", std::int64_t{1}));
  b.output(b.conv(y, weight(b, 4, 13)));
  CHECK_EQ(pushed(b.graph), "Transpose Conv Split Sigmoid Mul Clip Concat Slice Pad Softmax Conv Transpose");
  CHECK_EQ(only(b.graph, Op::Split).attrs.i("axis"), 3);
  CHECK_EQ(only(b.graph, Op::Concat).attrs.i("axis"), 3);
  CHECK_EQ(only(b.graph, Op::Softmax).attrs.i("axis"), 3);
  CHECK_EQ(ints_of(b.graph, only(b.graph, Op::Slice).inputs[3]), (std::vector<std::int64_t>{3, 2}));
  CHECK_EQ(ints_of(b.graph, only(b.graph, Op::Pad).inputs[1]), (std::vector<std::int64_t>{0, 2, 3, 1, 0, 5, 6, 4}));
}

TEST(push_transposes_brings_constants_along) {
  Build b;
  const ValueId x = b.conv(b.input("x", DType::f32, {1, 3, 2, 2}), weight(b, 2, 3));
  ValueId y = b.node(Op::Mul, {b.scalar(2), x});
  y = b.node(Op::Add, {y, b.constant<float>("per_channel", {2, 1, 1}, {1, 2})});
  y = b.node(Op::PRelu, {y, b.counting<float>("slope", {2, 2, 1})});
  b.output(b.conv(y, weight(b, 4, 2)));
  CHECK_EQ(pushed(b.graph), "Transpose Conv Mul Add PRelu Conv Transpose");
  CHECK_EQ(b.graph.value(only(b.graph, Op::Add).inputs[1]).shape, (Dims{1, 1, 1, 2}));
  const Value& slope = b.graph.value(only(b.graph, Op::PRelu).inputs[1]);
  CHECK_EQ(slope.shape, (Dims{1, 2, 1, 2}));
  const auto items = slope.data->as<float>();
  CHECK_EQ(std::vector<float>(items.begin(), items.end()), (std::vector<float>{1, 3, 2, 4}));
}

TEST(push_transposes_remaps_quantization) {
  Build b;
  const ValueId x = b.qdq(b.input("x", DType::f32, {1, 3, 8, 8}), 0.5F, 3);
  const ValueId scales = b.constant<float>("scales", {4}, {1, 2, 3, 4});
  const ValueId w = b.node(Op::DequantizeLinear, {b.counting<std::int8_t>("w", {4, 3, 2, 1}), scales},
                           Build::attr("axis", std::int64_t{0}));
  const ValueId v = b.node(Op::DequantizeLinear, {b.counting<std::int8_t>("v", {2, 4, 2, 1}), scales},
                           Build::attr("axis", std::int64_t{1}));
  b.output(b.qdq(b.conv(b.qdq(b.conv(x, w), 0.5F, 3), v), 0.5F, 3));
  CHECK_EQ(pushed(b.graph),
           "QuantizeLinear DequantizeLinear Transpose DequantizeLinear Conv QuantizeLinear DequantizeLinear "
           "DequantizeLinear Conv QuantizeLinear DequantizeLinear Transpose");
  std::vector<std::int64_t> axes;
  for (const Node& node : b.graph.nodes) {
    if (node.op == Op::DequantizeLinear && node.attrs.has("axis")) axes.push_back(node.attrs.i("axis"));
  }
  CHECK_EQ(axes, (std::vector<std::int64_t>{0, 3}));
}

TEST(push_transposes_stops_where_layout_matters) {
  Build b;
  const ValueId x = b.conv(b.input("x", DType::f32, {1, 3, 8, 8}), weight(b, 8, 3));
  b.output(b.node(Op::MatMul, {b.node(Op::Flatten, {x}), b.counting<float>("fc", {512, 2})}));
  CHECK_EQ(pushed(b.graph), "Transpose Conv Transpose Reshape MatMul");
}

TEST(push_transposes_of_one_operand_only_where_it_pays) {
  {
    Build b;  // the result is transposed back: one Transpose instead of two
    const ValueId x = b.conv(b.input("x", DType::f32, {1, 3, 8, 8}), weight(b, 8, 3));
    b.output(b.conv(b.node(Op::Add, {x, b.input("y", DType::f32, {1, 8, 8, 8})}), weight(b, 8, 8)));
    CHECK_EQ(pushed(b.graph), "Transpose Conv Transpose Add Conv Transpose");
  }
  {
    Build b;  // the result is wanted as it is
    const ValueId x = b.conv(b.input("x", DType::f32, {1, 3, 8, 8}), weight(b, 8, 3));
    b.output(b.node(Op::Add, {x, b.input("y", DType::f32, {1, 8, 8, 8})}));
    CHECK_EQ(pushed(b.graph), "Transpose Conv Transpose Add");
  }
}

TEST(push_transposes_comes_to_an_end_between_forks) {
  Build b;  // each operand's other form is there already: neither way makes fewer
  const ValueId a = b.input("a", DType::f32, {2, 3, 4, 5}), c = b.input("c", DType::f32, {2, 5, 3, 4});
  const ValueId ta = b.to_nchw(a), tc = b.to_nhwc(c);
  b.output(b.node(Op::Add, {ta, c}));
  b.output(b.node(Op::MatMul, {ta, b.counting<float>("m", {4, 4})}));
  b.output(b.node(Op::MatMul, {tc, b.counting<float>("n", {5, 5})}));
  CHECK_EQ(pushed(b.graph), "Transpose Transpose Add MatMul MatMul");
}

TEST(push_transposes_below_dropped_dimensions) {
  Build b;
  const ValueId x = b.to_nchw(b.input("x", DType::f32, {2, 3, 4, 5}));
  const ValueId picked = b.node(Op::Gather, {x, b.constant<std::int64_t>("i", {}, {1})},
                                Build::attr("axis", std::int64_t{1}));  // [2, 3, 4]: nothing left to move
  b.output(b.node(Op::Exp, {picked}));
  Attrs attrs = Build::attr("axes", std::vector<std::int64_t>{2});
  attrs.set("keepdims", std::int64_t{0});
  b.output(b.node(Op::ReduceSum, {x}, attrs));  // [2, 5, 4] of [2, 4, 5]
  CHECK_EQ(pushed(b.graph), "Gather ReduceSum Exp Transpose");
  CHECK_EQ(only(b.graph, Op::Gather).attrs.i("axis"), 3);
  CHECK_EQ(only(b.graph, Op::Transpose).attrs.ints("perm"), (Perm{0, 2, 1}));
}

TEST(push_transposes_below_squeezed_dimensions) {
  Build b;
  const ValueId x = b.conv(b.input("x", DType::f32, {kDynamic, 3, 7, 1}), weight(b, 8, 3));
  const ValueId y = b.node(Op::Squeeze, {x, b.ints({3})});  // [?, 8, 7]
  const ValueId sum = b.node(Op::Add, {y, b.counting<float>("bias", {1, 8, 1})});
  b.output(b.node(Op::ReduceMax, {sum}, Build::attr("axes", std::vector<std::int64_t>{2})));
  CHECK_EQ(pushed(b.graph), "Transpose Conv Add Reshape ReduceMax Reshape");
  CHECK_EQ(only(b.graph, Op::ReduceMax).attrs.ints("axes"), (std::vector<std::int64_t>{1}));
  CHECK_EQ(b.graph.value(b.graph.outputs[0]).shape, (Dims{-1, 8, 1}));
}
