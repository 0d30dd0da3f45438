#include "cpp/check.h"
#include "cpp/passes_build.h"

using namespace quaver;
using namespace quaver::testing;

namespace {

std::string lowered(Graph& graph) {
  apply(graph, lower_qdq);
  apply(graph, remove_dead);
  return ops(graph);
}

struct Net : Build {
  ValueId x = qdq(input("x", DType::f32, {1, 4, 4, 2}), 0.5F, 10);

  ValueId weight(float scale = 0.25F) { return dequantize(counting<std::int8_t>("w", {2, 1, 1, 2}), scale, 0); }
  ValueId weight_of_each() { return dequantize(counting<std::int8_t>("w", {2, 1, 1, 1}), 0.25F, 0); }
  ValueId per_channel(std::int64_t axis) {
    const ValueId scales = constant<float>("scales", {2}, {0.25F, 0.5F});
    return node(Op::DequantizeLinear, {counting<std::int8_t>("w", {2, 1, 1, 2}), scales}, attr("axis", axis));
  }
  // The notes of all nodes, one after the other.
  std::string notes() const {
    std::string out;
    for (const Node& node : graph.nodes) out += node.note;
    return out;
  }
};

bool says(const Net& net, const std::string& words) {
  if (net.notes().find(words) != std::string::npos) return true;
  std::cerr << "notes: " << net.notes() << "\n" << dump(net.graph);
  return false;
}

}  // namespace

TEST(lower_qdq_convolution) {
  Net b;
  const ValueId bias = b.constant<float>("bias", {2}, {1, -0.3F});
  const ValueId y = b.relu(b.node(Op::Conv, {b.x, b.per_channel(0), bias}));
  b.output(b.qdq(y, 0.125F, 3));
  CHECK_EQ(lowered(b.graph), "QuantizeLinear Conv DequantizeLinear");
  const Node& conv = only(b.graph, Op::Conv);
  CHECK_EQ(conv.attrs.f("lo"), 0.0);
  CHECK(!conv.attrs.has("hi"));
  CHECK(conv.note.find("with Clip") != std::string::npos);
  CHECK((b.graph.value(conv.inputs[0]).quant == Quant{{0.5F}, {10}, -1}));
  CHECK((b.graph.value(conv.inputs[1]).quant == Quant{{0.25F, 0.5F}, {0, 0}, 0}));
  CHECK((b.graph.value(conv.inputs[2]).quant == Quant{{0.125F, 0.25F}, {0, 0}, 0}));
  CHECK((b.graph.value(conv.outputs[0]).quant == Quant{{0.125F}, {3}, -1}));
  CHECK_EQ(b.graph.value(conv.outputs[0]).dtype, DType::u8);
  CHECK_EQ(ints_of(b.graph, conv.inputs[2]), (std::vector<std::int64_t>{8, -1}));  // rne(−1.2)
}

TEST(lower_qdq_bias_of_another_scale) {
  Net b;
  const ValueId bias = b.dequantize(b.constant<std::int32_t>("bias", {2}, {3, 5}), 0.0625F, 0);
  b.output(b.qdq(b.node(Op::Conv, {b.x, b.weight(), bias}), 1, 0));
  CHECK_EQ(lowered(b.graph), "QuantizeLinear Conv DequantizeLinear");
  // 1.5 and 2.5 steps: to even.
  CHECK_EQ(ints_of(b.graph, only(b.graph, Op::Conv).inputs[2]), (std::vector<std::int64_t>{2, 2}));
}

TEST(lower_qdq_unsigned_weights_become_signed) {
  Net b;
  const ValueId w = b.dequantize(b.counting<std::uint8_t>("w", {2, 1, 1, 2}), 0.25F, 130);
  b.output(b.qdq(b.node(Op::Conv, {b.x, w}), 1, 0));
  lowered(b.graph);
  const Value& weight = b.graph.value(only(b.graph, Op::Conv).inputs[1]);
  CHECK_EQ(weight.dtype, DType::s8);
  CHECK_EQ(int{weight.data->as<std::int8_t>()[0]}, -127);
  CHECK_EQ(weight.quant->zero_point[0], 2);
}

TEST(lower_qdq_residual_without_a_rounding_in_between) {
  Net b;
  const ValueId sum = b.node(Op::Add, {b.x, b.node(Op::Conv, {b.x, b.weight()})});
  b.output(b.qdq(b.relu(sum), 1, 0));
  CHECK_EQ(lowered(b.graph), "QuantizeLinear Conv DequantizeLinear");
  const Node& conv = only(b.graph, Op::Conv);
  CHECK_EQ(conv.inputs.size(), 4u);
  CHECK_EQ(conv.inputs[2], kNone);
  CHECK_EQ(conv.inputs[3], conv.inputs[0]);
  CHECK(!conv.attrs.has("pre_lo"));
  CHECK_EQ(conv.attrs.f("lo", -1), 0.0);
}

TEST(lower_qdq_leaves_sums_of_a_convolution) {
  Net b;
  const ValueId y = b.node(Op::Conv, {b.x, b.weight(), b.constant<float>("bias", {2}, {1, -1})});
  b.output(b.qdq(b.node(Op::Sigmoid, {y}), 1, 0));
  CHECK_EQ(lowered(b.graph), "QuantizeLinear Conv Sigmoid QuantizeLinear DequantizeLinear");
  const Node& conv = only(b.graph, Op::Conv);
  CHECK_EQ(b.graph.value(conv.inputs[0]).dtype, DType::u8);
  CHECK_EQ(b.graph.value(conv.outputs[0]).dtype, DType::f32);
  CHECK(!b.graph.value(conv.outputs[0]).quant);
}

TEST(lower_qdq_says_why_not) {
  {
    Net b;
    b.output(b.qdq(b.node(Op::Conv, {b.input("plain", DType::f32, {1, 4, 4, 2}), b.weight()}), 1, 0));
    CHECK_EQ(lowered(b.graph), "DequantizeLinear Conv QuantizeLinear DequantizeLinear");
    CHECK(says(b, "input 'plain' is float: it has no QuantizeLinear"));
  }
  {
    Net b;
    const ValueId y = b.node(Op::ConvTranspose, {b.x, b.weight_of_each()}, b.attr("group", 2));
    b.output(b.qdq(y, 1, 0));
    b.output(b.qdq(b.node(Op::Sigmoid, {y}), 1, 0));
    lowered(b.graph);
    CHECK(says(b, "is used as float by Sigmoid 'Sigmoid"));
  }
  {
    Net b;
    b.output(b.node(Op::ConvTranspose, {b.x, b.weight_of_each()}, b.attr("group", 2)));
    lowered(b.graph);
    CHECK(says(b, "is a float output of the model"));
  }
  {
    Net b;
    b.output(b.qdq(b.node(Op::Conv, {b.x, b.counting<float>("w", {2, 1, 1, 2})}), 1, 0));
    lowered(b.graph);
    CHECK(says(b, "weight 'w' is float"));
  }
  {
    Net b;
    b.output(b.qdq(b.node(Op::Conv, {b.x, b.per_channel(3)}), 1, 0));
    lowered(b.graph);
    CHECK(says(b, "quantized along axis 3"));
  }
  {
    Net b;
    const ValueId bias = b.constant<float>("bias", {2}, {1e9F, 0});
    b.output(b.qdq(b.node(Op::Conv, {b.x, b.weight(), bias}), 1, 0));
    lowered(b.graph);
    CHECK(says(b, "bias 'bias' does not fit int32"));
  }
  {
    Net b;
    const ValueId scales = b.constant<float>("scales", {2}, {1, 2});
    const ValueId q = b.node(Op::QuantizeLinear, {b.input("y", DType::f32, {1, 4, 4, 2}), scales},
                             Build::attr("axis", std::int64_t{3}));
    const ValueId dq = b.node(Op::DequantizeLinear, {q, scales}, Build::attr("axis", std::int64_t{3}));
    b.output(b.qdq(b.node(Op::Add, {b.x, dq}), 1, 0));
    CHECK_EQ(lowered(b.graph),
             "QuantizeLinear DequantizeLinear QuantizeLinear DequantizeLinear Add QuantizeLinear "
             "DequantizeLinear");
    CHECK(says(b, "quantized per channel"));
  }
}

TEST(lower_qdq_matmul) {
  Build b;
  const ValueId a = b.qdq(b.input("a", DType::f32, {2, 3}), 0.5F, 10);
  const ValueId c = b.qdq(b.input("c", DType::f32, {4, 2}), 0.5F, 7);
  const ValueId w = b.dequantize(b.counting<std::int8_t>("w", {3, 4}), 0.25F, 0);
  const ValueId y = b.qdq(b.node(Op::MatMul, {a, w}), 0.25F, 1);
  b.output(b.qdq(b.node(Op::MatMul, {y, c}), 1, 0));
  CHECK_EQ(lowered(b.graph), "QuantizeLinear QuantizeLinear MatMul MatMul DequantizeLinear");
}

TEST(lower_qdq_elementwise_and_pooling) {
  Net b;
  ValueId y = b.qdq(b.node(Op::Mul, {b.x, b.qdq(b.node(Op::Sigmoid, {b.x}), 0.1F, 0)}), 0.3F, 4);
  y = b.qdq(b.node(Op::AveragePool, {y}, Build::attr("kernel_shape", std::vector<std::int64_t>{2, 2})), 0.2F, 4);
  y = b.qdq(b.node(Op::PRelu, {y, b.dequantize(b.counting<std::int8_t>("slope", {2}), 0.1F, 0)}), 0.2F, 4);
  y = b.qdq(b.relu(b.node(Op::Div, {y, b.dequantize(b.counting<std::int8_t>("d", {2}), 0.1F, 0)})), 0.2F, 0);
  y = b.qdq(b.node(Op::Softmax, {y}), 0.004F, 0);
  b.output(y);
  CHECK_EQ(lowered(b.graph),
           "QuantizeLinear Sigmoid Mul AveragePool DequantizeLinear PRelu Div Softmax DequantizeLinear");
  CHECK_EQ(only(b.graph, Op::Div).attrs.f("lo", -1), 0.0);
}

TEST(lower_qdq_moves_stay_in_bytes) {
  Net b;
  const auto parts = b.nodes(Op::Split, {b.x}, 2, Build::attr("axis", std::int64_t{3}));
  ValueId y = b.transpose(parts[0], {0, 3, 1, 2});
  y = b.node(Op::Pad, {y, b.ints({0, 0, 1, 1, 0, 0, 1, 1}), b.scalar(2)});
  y = b.node(Op::Reshape, {y, b.ints({1, 36})});
  b.output(y);
  b.output(b.qdq(parts[1], 0.5F, 10));  // the same parameters: nothing happens
  CHECK_EQ(lowered(b.graph), "QuantizeLinear Split Transpose Pad Reshape DequantizeLinear DequantizeLinear");
  const Value& value = b.graph.value(only(b.graph, Op::Pad).inputs[2]);
  CHECK_EQ(value.dtype, DType::u8);
  CHECK_EQ(int{value.data->as<std::uint8_t>()[0]}, 14);  // 2 / 0.5 + 10
}

TEST(lower_qdq_quantize_rises_above_moves) {
  Net b;
  ValueId y = b.relu(b.node(Op::Conv, {b.x, b.weight()}));
  y = b.node(Op::MaxPool, {y}, Build::attr("kernel_shape", std::vector<std::int64_t>{2, 2}));
  const ValueId plain = b.input("plain", DType::f32, {1, 3, 3, 2});
  const ValueId other = b.dequantize(b.input("bytes", DType::u8, {1, 3, 3, 2}), 2, 0);
  y = b.node(Op::Concat, {y, plain, other}, Build::attr("axis", std::int64_t{3}));
  b.output(b.qdq(y, 0.5F, 0));
  CHECK_EQ(lowered(b.graph),
           "QuantizeLinear Conv DequantizeLinear QuantizeLinear QuantizeLinear MaxPool Concat "
           "DequantizeLinear");
  // What was quantized otherwise is quantized again.
  CHECK((b.graph.value(only(b.graph, Op::Concat).outputs[0]).quant == Quant{{0.5F}, {0}, -1}));
}

TEST(lower_qdq_concat_of_one_scale_needs_no_quantize) {
  Net b;
  b.output(b.node(Op::Concat, {b.x, b.x}, Build::attr("axis", std::int64_t{3})));
  b.output(b.node(Op::Concat, {b.x, b.dequantize(b.input("o", DType::u8, {1, 4, 4, 2}), 2, 0)},
                  Build::attr("axis", std::int64_t{3})));
  CHECK_EQ(lowered(b.graph), "QuantizeLinear DequantizeLinear Concat DequantizeLinear Concat DequantizeLinear");
  CHECK(says(b, "its inputs have different scales"));
}

TEST(lower_qdq_moves_stored_weights) {
  Net b;
  const ValueId scales = b.constant<float>("scales", {2}, {0.25F, 0.5F});
  ValueId w = b.node(Op::DequantizeLinear, {b.counting<std::int8_t>("w", {2, 2}), scales},
                     Build::attr("axis", std::int64_t{1}));
  w = b.node(Op::Reshape, {b.transpose(w, {1, 0}), b.ints({2, 1, 1, 2})});
  b.output(b.qdq(b.node(Op::Conv, {b.x, w}), 1, 0));
  CHECK_EQ(lowered(b.graph), "QuantizeLinear Conv DequantizeLinear");
  const Value& weight = b.graph.value(only(b.graph, Op::Conv).inputs[1]);
  CHECK_EQ(weight.quant->axis, 0);
  CHECK_EQ(int{weight.data->as<std::int8_t>()[1]}, 3);
}

TEST(lower_qdq_leaves_float_models_alone) {
  Build b;
  b.output(b.relu(b.input("x", DType::f32, {2})));
  CHECK(!apply(b.graph, lower_qdq));
  CHECK(b.graph.nodes[0].note.empty());
}
