#include "cpp/check.h"
#include "cpp/passes_build.h"
#include "graph/unary.h"

using namespace quaver;
using namespace quaver::testing;

namespace {

std::string tables(Graph& graph) {
  apply(graph, lower_qdq);
  apply(graph, fuse_tables);
  apply(graph, remove_dead);
  return ops(graph);
}

std::vector<int> table_of(const Graph& graph) {
  const auto bytes = graph.value(only(graph, Op::Table).inputs[1]).data->as<std::uint8_t>();
  return {bytes.begin(), bytes.end()};
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

TEST(fuse_tables_of_silu_rounds_as_the_graph_does) {
  Build b;
  const ValueId x = b.qdq(b.input("x", DType::f32, {2, 8}), 0.05F, 100);
  const ValueId gate = b.qdq(b.node(Op::Sigmoid, {x}), 0.02F, 5);  // coarse: its rounding shows
  b.output(b.qdq(b.node(Op::Mul, {gate, x}), 0.03F, 20));
  CHECK_EQ(tables(b.graph), "QuantizeLinear Table DequantizeLinear");
  std::vector<int> expected, exact;
  for (int q = 0; q < 256; ++q) {
    const double real = double{0.05F} * (q - 100);
    const int rounded = quantize(sigmoid(real), Quant{{0.02F}, {5}, -1}, DType::u8);
    const Quant out{{0.03F}, {20}, -1};
    expected.push_back(quantize(double{0.02F} * (rounded - 5) * real, out, DType::u8));
    exact.push_back(quantize(sigmoid(real) * real, out, DType::u8));
  }
  CHECK_EQ(table_of(b.graph), expected);
  CHECK(expected != exact);
}

TEST(fuse_tables_takes_float_chains) {
  Build b;  // hard swish as exporters spell it, without quantization in between
  const ValueId x = b.qdq(b.input("x", DType::f32, {kDynamic, 8}), 0.05F, 100);
  Attrs relu6 = Build::attr("lo", 0.0);
  relu6.set("hi", 6.0);
  const ValueId gate = b.node(Op::Clip, {b.node(Op::Add, {x, b.scalar(3)})}, relu6);
  b.output(b.qdq(b.node(Op::Div, {b.node(Op::Mul, {x, gate}), b.scalar(6)}), 0.03F, 20));
  CHECK_EQ(tables(b.graph), "QuantizeLinear Table DequantizeLinear");
  std::vector<int> expected;
  for (int q = 0; q < 256; ++q) {
    const double real = double{0.05F} * (q - 100);
    expected.push_back(quantize(real * std::min(std::max(real + 3, 0.0), 6.0) / 6, {{0.03F}, {20}, -1}, DType::u8));
  }
  CHECK_EQ(table_of(b.graph), expected);
}

TEST(fuse_tables_composes_and_drops_identities) {
  Build b;
  const ValueId x = b.qdq(b.input("x", DType::f32, {2, 8}), 0.5F, 0);
  ValueId y = b.qdq(b.relu(x), 0.5F, 0);  // nothing below zero: the same bytes
  y = b.qdq(b.node(Op::Tanh, {b.qdq(y, 0.25F, 10)}), 0.01F, 128);
  b.output(y);
  CHECK_EQ(tables(b.graph), "QuantizeLinear Table DequantizeLinear");
}

TEST(fuse_tables_needs_one_source) {
  Build b;
  const ValueId x = b.qdq(b.input("x", DType::f32, {2, 8}), 0.5F, 0);
  const ValueId y = b.qdq(b.input("y", DType::f32, {2, 8}), 0.5F, 0);
  const ValueId row = b.dequantize(b.counting<std::uint8_t>("row", {8}), 0.5F, 0);
  b.output(b.qdq(b.node(Op::Mul, {x, y}), 1, 0));
  b.output(b.qdq(b.node(Op::Add, {x, row}), 1, 0));  // differs along the row
  b.output(b.qdq(b.node(Op::Mul, {x, b.counting<float>("f", {8})}), 1, 0));
  b.output(b.qdq(b.node(Op::Add, {x, b.dequantize(b.constant<std::uint8_t>("one", {1, 1, 1}, {1}), 1, 0)}), 1, 0));
  CHECK(tables(b.graph).find("Table") == std::string::npos);
}

TEST(fuse_tables_of_a_scalar_operand) {
  Build b;
  const ValueId x = b.qdq(b.input("x", DType::f32, {2, 8}), 0.5F, 7);
  const ValueId two = b.dequantize(b.constant<std::uint8_t>("two", {}, {4}), 0.5F, 0);
  b.output(b.qdq(b.node(Op::Mul, {two, x}), 1, 9));
  CHECK_EQ(tables(b.graph), "QuantizeLinear Table DequantizeLinear");
  CHECK_EQ(int{table_of(b.graph)[10]}, 12);  // (10 − 7) · 0.5 · 2 + 9
}

TEST(fuse_activation_into_its_producer) {
  Build b;
  const ValueId x = b.input("x", DType::f32, {1, 4, 4, 2});
  const ValueId y = b.node(Op::Conv, {x, b.counting<float>("w", {2, 1, 1, 2})});
  const ValueId z = b.node(Op::Clip, {b.relu(y)}, Build::attr("hi", 6.0));
  b.output(b.relu(b.node(Op::Add, {z, x})));
  CHECK(apply(b.graph, fuse_activation));
  CHECK_EQ(ops(b.graph), "Conv Add");
  CHECK_EQ(only(b.graph, Op::Conv).attrs.f("lo", -1), 0.0);
  CHECK_EQ(only(b.graph, Op::Conv).attrs.f("hi", -1), 6.0);
}

TEST(fuse_activation_keeps_what_is_used_otherwise) {
  Build b;
  const ValueId x = b.input("x", DType::f32, {2});
  const ValueId sum = b.node(Op::Add, {x, x}), product = b.node(Op::Mul, {x, x});
  b.output(sum);
  b.output(b.relu(sum));
  b.output(b.node(Op::Tanh, {product}));
  b.output(b.relu(product));
  b.output(b.relu(b.node(Op::Tanh, {x})));
  CHECK(!apply(b.graph, fuse_activation));
}

TEST(fuse_activation_clamps_in_order) {
  Build b;  // a lower bound above an earlier upper one wins
  const ValueId x = b.input("x", DType::f32, {2});
  Attrs low = Build::attr("lo", 0.0);
  low.set("hi", 1.0);
  b.output(b.node(Op::Clip, {b.node(Op::Clip, {b.node(Op::Add, {x, x})}, low)}, Build::attr("lo", 2.0)));
  apply(b.graph, fuse_activation);
  const Node& add = only(b.graph, Op::Add);
  CHECK_EQ(add.attrs.f("lo"), 2.0);
  CHECK_EQ(add.attrs.f("hi"), 2.0);
}

namespace {

std::string residuals(Graph& graph) {
  apply(graph, lower_qdq);
  apply(graph, fuse_activation);
  apply(graph, fuse_residual);
  apply(graph, remove_dead);
  return ops(graph);
}

}  // namespace

TEST(fuse_residual_float_takes_the_later_product) {
  Build b;
  const ValueId x = b.input("x", DType::f32, {1, 4, 4, 2});
  const ValueId later = b.node(Op::Conv, {x, b.counting<float>("later", {2, 1, 1, 2})});
  const ValueId w = b.counting<float>("w", {2, 1, 1, 2});
  const ValueId y = b.node(Op::Conv, {b.node(Op::Tanh, {x}), w});
  b.output(b.relu(b.node(Op::Add, {b.relu(y), later})));
  CHECK_EQ(residuals(b.graph), "Conv Tanh Conv");
  const Node& fused = b.graph.nodes[2];
  CHECK_EQ(fused.inputs[3], b.graph.nodes[0].outputs[0]);
  CHECK_EQ(fused.attrs.f("pre_lo", -1), 0.0);
  CHECK_EQ(fused.attrs.f("lo", -1), 0.0);
}

TEST(fuse_residual_restores_run_order) {
  Build b;
  const ValueId x = b.input("x", DType::f32, {1, 4, 4, 2});
  const ValueId y = b.node(Op::Conv, {x, b.counting<float>("w", {2, 1, 1, 2})});
  b.output(b.node(Op::Add, {y, b.node(Op::Tanh, {x})}));  // made after the convolution
  CHECK_EQ(residuals(b.graph), "Tanh Conv");
}

TEST(fuse_residual_quantized_keeps_the_range) {
  Build b;
  const ValueId x = b.qdq(b.input("x", DType::f32, {kDynamic, 4, kDynamic, 2}), 0.5F, 10);
  const ValueId w = b.dequantize(b.counting<std::int8_t>("w", {2, 1, 1, 2}), 0.25F, 0);
  const ValueId y = b.qdq(b.node(Op::Conv, {x, w}), 0.25F, 40);
  b.output(b.qdq(b.relu(b.node(Op::Add, {x, y})), 1, 0));
  CHECK_EQ(residuals(b.graph), "QuantizeLinear Conv DequantizeLinear");
  const Node& conv = only(b.graph, Op::Conv);
  CHECK_EQ(conv.attrs.f("pre_lo"), -10.0);
  CHECK_EQ(conv.attrs.f("pre_hi"), 53.75);
  CHECK_EQ(conv.attrs.f("lo", -1), 0.0);
  CHECK((b.graph.value(conv.outputs[0]).quant == Quant{{1}, {0}, -1}));
}

TEST(fuse_residual_must_not_fire) {
  Build b;
  const ValueId x = b.input("x", DType::f32, {1, 4, 4, 2});
  const auto conv = [&] { return b.node(Op::Conv, {x, b.counting<float>("w", {2, 1, 1, 2})}); };
  const ValueId twice = conv(), used = conv(), shown = conv();
  b.output(b.node(Op::Add, {twice, twice}));
  b.output(b.node(Op::Add, {used, b.node(Op::Tanh, {used})}));
  b.output(shown);
  b.output(b.node(Op::Add, {shown, x}));
  b.output(b.node(Op::Add, {conv(), b.input("row", DType::f32, {1, 1, 1, 2})}));       // broadcasts
  b.output(b.node(Op::Add, {conv(), b.input("n", DType::f32, {kDynamic, 4, 4, 2})}));  // may broadcast
  b.output(b.node(Op::Add, {conv(), b.counting<float>("c", {1, 4, 4, 2})}));
  CHECK(!apply(b.graph, fuse_residual));
}

TEST(fuse_norm_softmax_reads_bytes) {
  for (const bool open : {false, true}) {  // with open shapes it may still become part of attention
    Build b;
    const ValueId x = b.dequantize(b.input("x", DType::u8, {open ? kDynamic : 4, 8}), 0.05F, 100);
    b.output(b.node(Op::Softmax, {x}, Build::attr("axis", std::int64_t{1})));
    apply(b.graph, lower_qdq);
    apply(b.graph, fuse_norm);
    apply(b.graph, remove_dead);
    CHECK_EQ(ops(b.graph), open ? "DequantizeLinear Softmax" : "Softmax");
  }
}
