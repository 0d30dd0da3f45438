#include "cpp/check.h"
#include "cpp/passes_build.h"

using namespace quaver;
using namespace quaver::testing;

namespace {

std::string normalized(Graph& graph) {
  apply(graph, lower_qdq);
  apply(graph, normalize_s8);
  apply(graph, remove_dead);
  return ops(graph);
}

// No value that stands for a real activation is signed, but at the interface.
bool all_unsigned(const Graph& graph) {
  for (const Node& node : graph.nodes) {
    if (node.op == Op::FlipSign) continue;
    for (const ValueId out : node.outputs) {
      if (graph.value(out).dtype == DType::s8) return false;
    }
  }
  return true;
}

int zero_of(const Graph& graph, ValueId id) { return graph.value(id).quant->zero_point[0]; }

}  // namespace

TEST(normalize_s8_moves_zero_points) {
  Build b;
  const ValueId x = b.qdq<std::int8_t>(b.input("x", DType::f32, {1, 4, 4, 2}), 0.5F, -128);
  const ValueId w = b.dequantize(b.counting<std::int8_t>("w", {2, 1, 1, 2}), 0.25F, 0);
  const ValueId c = b.dequantize(b.constant<std::int8_t>("c", {2}, {-128, 5}), 0.25F, 1);
  const ValueId y = b.qdq<std::int8_t>(b.node(Op::Conv, {x, w}), 0.5F, 4);
  b.output(b.qdq<std::int8_t>(b.node(Op::Add, {y, c}), 0.5F, 0));
  CHECK_EQ(normalized(b.graph), "QuantizeLinear Conv Add DequantizeLinear");
  CHECK(all_unsigned(b.graph));
  const Node &conv = only(b.graph, Op::Conv), &add = only(b.graph, Op::Add);
  CHECK_EQ(zero_of(b.graph, conv.inputs[0]), 0);
  CHECK_EQ(b.graph.value(conv.inputs[1]).dtype, DType::s8);  // weights stay
  CHECK_EQ(zero_of(b.graph, conv.outputs[0]), 132);
  CHECK_EQ(zero_of(b.graph, add.inputs[1]), 129);
  const auto bytes = b.graph.value(add.inputs[1]).data->as<std::uint8_t>();
  CHECK_EQ(std::vector<int>(bytes.begin(), bytes.end()), (std::vector<int>{0, 133}));
  const Node& last = only(b.graph, Op::DequantizeLinear);
  CHECK_EQ(int{b.graph.value(last.inputs[2]).data->as<std::uint8_t>()[0]}, 128);
}

TEST(normalize_s8_keeps_the_interface) {
  Build b;
  const ValueId in = b.input("in", DType::s8, {1, 4});
  const ValueId y = b.quantize<std::int8_t>(b.relu(b.dequantize(in, 0.5F, 3)), 0.5F, -5);
  b.graph.value(y).name = "y";
  b.output(y);
  b.output(b.node(Op::Cast, {y}, Build::attr("to", static_cast<std::int64_t>(DType::i32))));
  CHECK_EQ(normalized(b.graph), "FlipSign Clip FlipSign Cast");
  CHECK_EQ(b.graph.value(b.graph.inputs[0]).dtype, DType::s8);
  CHECK_EQ(b.graph.value(b.graph.outputs[0]).dtype, DType::s8);
  CHECK_EQ(b.graph.value(b.graph.outputs[0]).name, "y");
  CHECK(all_unsigned(b.graph));
}

TEST(normalize_s8_through_moves_of_bytes) {
  Build b;
  const ValueId q = b.quantize<std::int8_t>(b.input("x", DType::f32, {1, 2, 2, 2}), 0.5F, 3);
  const ValueId pooled = b.node(Op::MaxPool, {q}, Build::attr("kernel_shape", std::vector<std::int64_t>{2, 2}));
  b.output(b.dequantize(b.node(Op::Reshape, {pooled, b.ints({1, 2})}), 0.5F, 3));
  CHECK_EQ(normalized(b.graph), "QuantizeLinear MaxPool Reshape DequantizeLinear");
  CHECK(all_unsigned(b.graph));
}

TEST(normalize_s8_turns_plain_integers_where_they_are_computed_with) {
  Build b;
  const ValueId x = b.input("x", DType::s8, {2, 2});
  b.output(b.node(Op::MatMulInteger, {x, b.counting<std::int8_t>("w", {2, 2})}));
  b.output(b.transpose(x, {1, 0}));
  CHECK_EQ(normalized(b.graph), "Transpose FlipSign MatMulInteger");
  CHECK_EQ(b.graph.value(b.graph.outputs[1]).dtype, DType::s8);
  const Node& product = only(b.graph, Op::MatMulInteger);
  CHECK_EQ(b.graph.value(product.inputs[0]).dtype, DType::u8);
  CHECK_EQ(int{b.graph.value(product.inputs[2]).data->as<std::uint8_t>()[0]}, 128);
}

TEST(normalize_s8_turns_tables) {
  Build b;
  std::vector<std::uint8_t> items(256);
  for (int i = 0; i < 256; ++i) items[i] = static_cast<std::uint8_t>(i * 7 + 3);
  ValueId q = b.quantize<std::int8_t>(b.input("x", DType::f32, {4}), 0.5F, 3);
  const ValueId y = b.graph.add_value("y", DType::s8, {4});
  b.graph.value(q).quant = Quant{{0.5F}, {3}, -1};
  b.graph.value(y).quant = Quant{{0.5F}, {0}, -1};
  b.graph.add_node(Op::Table, "t", {q, b.constant<std::uint8_t>("table", {256}, items)}, {y});
  b.output(b.dequantize(y, 0.5F, 0));
  normalize_s8(b.graph, evaluate);
  infer_shapes(b.graph);
  const auto turned = b.graph.value(only(b.graph, Op::Table).inputs[1]).data->as<std::uint8_t>();
  for (int i = 0; i < 256; ++i) CHECK_EQ(int{turned[i ^ 0x80]}, items[i] ^ 0x80);
}
