#include "cpp/check.h"
#include "cpp/passes_build.h"

using namespace quaver;
using namespace quaver::testing;

TEST(fold_constants_folds_and_infers_on_the_way) {
  Build b;
  const ValueId x = b.input("x", DType::f32, {kDynamic, 6});
  const ValueId shape = b.node(Op::Reshape, {b.ints({-1, 3, 2}), b.ints({3})});
  b.output(b.node(Op::Reshape, {x, shape}));
  CHECK(apply(b.graph, fold_constants));
  CHECK_EQ(ops(b.graph), "Reshape");
  CHECK_EQ(b.graph.value(b.graph.outputs[0]).shape, (Dims{-1, 3, 2}));
}

TEST(fold_constants_knows_shapes) {
  Build b;
  const ValueId known = b.input("known", DType::f32, {2, 3});
  const ValueId partly = b.input("partly", DType::f32, {kDynamic, 3, 2});
  b.output(b.node(Op::Reshape, {known, b.node(Op::Shape, {known})}));
  b.output(b.node(Op::Reshape, {known, b.node(Op::Gather, {b.node(Op::Shape, {partly}), b.ints({1, -1})})}));
  b.output(b.node(Op::Reshape, {known, b.node(Op::Gather, {b.node(Op::Shape, {partly}), b.ints({0})})}));
  const ValueId folded = b.graph.nodes[0].outputs[0], picked = b.graph.nodes[3].outputs[0];
  apply(b.graph, fold_constants);
  CHECK_EQ(ints_of(b.graph, folded), (std::vector<std::int64_t>{2, 3}));
  CHECK_EQ(ints_of(b.graph, picked), (std::vector<std::int64_t>{3, 2}));
  apply(b.graph, remove_dead);
  CHECK_EQ(ops(b.graph), "Reshape Reshape Shape Gather Reshape");
}

TEST(fold_constants_leaves_outputs_and_what_it_cannot_run) {
  Build b;
  b.output(b.node(Op::Identity, {b.ints({1, 2})}));                             // the model's output needs a node
  b.output(b.node(Op::Abs, {b.node(Op::Exp, {b.counting<float>("c", {3})})}));  // the evaluator declines
  CHECK(!apply(b.graph, fold_constants));
  CHECK_EQ(ops(b.graph), "Identity Exp Abs");
}

TEST(fold_constants_keep_quantized_keeps_int8) {
  Build b;
  const ValueId x = b.input("x", DType::f32, {1, 2});
  const ValueId raw = b.transpose(b.counting<std::int8_t>("w", {3, 2}), {1, 0});
  const ValueId w = b.dequantize(raw, 0.5F, 0);
  b.output(b.node(Op::MatMul, {x, b.node(Op::Identity, {w})}));
  CHECK(apply(b.graph, fold_constants_keep_quantized));
  CHECK_EQ(ops(b.graph), "DequantizeLinear Identity MatMul");
  const Value& folded = b.graph.value(raw);
  CHECK(folded.constant());
  const auto bytes = folded.data->as<std::int8_t>();
  CHECK_EQ(std::vector<int>(bytes.begin(), bytes.end()), (std::vector<int>{1, 3, 5, 2, 4, 6}));
}

TEST(fold_constants_does_not_swell_the_file) {
  Build b;
  const ValueId small = b.constant<float>("small", {1}, {1});
  const ValueId big = b.node(Op::Pad, {small, b.ints({0, std::int64_t{64} << 20})});
  b.output(b.node(Op::Abs, {big}));
  bool asked = false;
  fold_constants(b.graph, [&](const Graph&, const Node& node) {
    asked |= node.op == Op::Pad;
    return std::vector<Blob>{};
  });
  CHECK(!asked);
}

namespace {

ValueId batch_norm(Build& b, ValueId x) {
  const auto of = [&](std::vector<float> items) { return b.constant<float>("p", {2}, items); };
  return b.node(Op::BatchNormalization, {x, of({2, 3}), of({1, -1}), of({0.5F, 0.25F}), of({4, 9})},
                Build::attr("epsilon", 0.0));
}

std::vector<float> floats(const Graph& graph, ValueId id) {
  const auto items = graph.value(id).data->as<float>();
  return {items.begin(), items.end()};
}

}  // namespace

TEST(fold_batch_norm_into_weights) {
  Build b;
  const ValueId x = b.input("x", DType::f32, {1, 4, 4, 2});
  const ValueId bias = b.constant<float>("bias", {2}, {1, 2});
  const ValueId y = b.node(Op::Conv, {x, b.counting<float>("w", {2, 1, 1, 2}), bias});
  b.output(batch_norm(b, y));
  CHECK(apply(b.graph, fold_batch_norm));
  CHECK_EQ(ops(b.graph), "Conv");
  const Node& conv = only(b.graph, Op::Conv);  // both gains are 1: 2/√4, 3/√9
  CHECK_EQ(floats(b.graph, conv.inputs[1]), (std::vector<float>{1, 2, 3, 4}));
  CHECK_EQ(floats(b.graph, conv.inputs[2]), (std::vector<float>{1.5F, 0.75F}));
  CHECK(conv.note.find("BatchNormalization") != std::string::npos);
}

TEST(fold_batch_norm_scales_columns_of_matmul) {
  Build b;
  const ValueId y = b.node(Op::MatMul, {b.input("x", DType::f32, {1, 3}), b.counting<float>("w", {3, 2})});
  const auto of = [&](std::vector<float> items) { return b.constant<float>("p", {2}, items); };
  b.output(b.node(Op::BatchNormalization, {y, of({10, 100}), of({0, 0}), of({0, 0}), of({1, 1})},
                  Build::attr("epsilon", 0.0)));
  apply(b.graph, fold_batch_norm);
  CHECK_EQ(floats(b.graph, only(b.graph, Op::MatMul).inputs[1]), (std::vector<float>{10, 200, 30, 400, 50, 600}));
}

TEST(fold_batch_norm_elsewhere_is_arithmetic) {
  Build b;
  const ValueId x = b.input("x", DType::f32, {1, 4, 4, 2});
  const ValueId y = b.node(Op::Conv, {x, b.counting<float>("w", {2, 1, 1, 2})});
  b.output(b.node(Op::Tanh, {y}));  // a second use of the convolution
  b.output(batch_norm(b, y));
  CHECK(apply(b.graph, fold_batch_norm));
  CHECK_EQ(ops(b.graph), "Conv Tanh Mul Add");
}

TEST(fold_batch_norm_takes_constants_per_channel) {
  Build b;
  const ValueId x = b.input("x", DType::f32, {1, 4, 4, 2});
  const ValueId bias = b.constant<float>("bias", {2}, {1, 2});
  const ValueId y = b.node(Op::Conv, {x, b.counting<float>("w", {2, 1, 1, 2}), bias});
  const ValueId added = b.node(Op::Add, {b.constant<float>("c", {1, 1, 1, 2}, {10, 20}), y});
  const ValueId halved = b.node(Op::Div, {added, b.scalar(2)});
  const ValueId turned = b.node(Op::Sub, {b.constant<float>("d", {2}, {1, 0}), halved});
  b.output(b.node(Op::Mul, {turned, b.constant<float>("e", {2}, {2, 4})}));
  CHECK(apply(b.graph, fold_batch_norm));
  CHECK_EQ(ops(b.graph), "Conv");
  const Node& conv = only(b.graph, Op::Conv);  // (d − (x + c) / 2) · e
  CHECK_EQ(floats(b.graph, conv.inputs[1]), (std::vector<float>{-1, -2, -6, -8}));
  CHECK_EQ(floats(b.graph, conv.inputs[2]), (std::vector<float>{2 - 11, -4 * 22 / 2}));
}

TEST(fold_batch_norm_leaves_other_constants) {
  const auto folds = [](Op op, Dims shape, bool first) {
    Build b;
    const ValueId x = b.input("x", DType::f32, {1, 4, 4, 2});
    const ValueId y = b.node(Op::Conv, {x, b.counting<float>("w", {2, 1, 1, 2})});
    const ValueId c = b.counting<float>("c", std::move(shape));
    b.output(first ? b.node(op, {c, y}) : b.node(op, {y, c}));
    return apply(b.graph, fold_batch_norm);
  };
  CHECK(folds(Op::Add, {2}, false));
  CHECK(!folds(Op::Add, {4, 1}, false));           // along the width
  CHECK(!folds(Op::Add, {1, 1, 1, 1, 2}, false));  // adds a dimension
  CHECK(!folds(Op::Div, {2}, true));
}
