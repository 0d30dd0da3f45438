#include "cpp/check.h"
#include "cpp/passes_build.h"

using namespace quaver;
using namespace quaver::testing;

namespace {

Attrs to_float() { return Build::attr("to", std::int64_t{0}); }

// A product of one-hot rows of n classes with a table.
ValueId product(Build& b, std::int64_t n, ValueId table, const char* spelled = "Cast") {
  const ValueId indices = b.input("indices", DType::i64, {kDynamic, 5, 1});
  std::vector<std::int64_t> classes(n);
  std::iota(classes.begin(), classes.end(), 0);
  const ValueId equal = b.node(Op::Equal, {indices, b.constant<std::int64_t>("classes", {1, 1, n}, classes)});
  const ValueId hot = spelled == std::string("Cast") ? b.node(Op::Cast, {equal}, to_float())
                                                     : b.node(Op::Where, {equal, b.scalar(1), b.scalar(0)});
  return b.node(Op::MatMul, {hot, table});
}

// Adds and scales the tables of these tests; one number counts for all.
std::vector<Blob> run(const Graph& graph, const Node& node) {
  if (node.op == Op::Squeeze) return evaluate(graph, node);
  const auto a = graph.value(node.inputs[0]).data->as<float>();
  std::vector<float> out(a.begin(), a.end());
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (node.op == Op::Abs) out[i] = std::abs(out[i]);
    if (node.op == Op::Sub) out[i] -= graph.value(node.inputs[1]).data->as<float>()[i % 2];
  }
  return {Blob::of<float>(out)};
}

std::string fused(Graph& graph) {
  fuse_gather(graph, run);
  verify(graph);
  infer_shapes(graph);
  remove_dead(graph, run);
  return ops(graph);
}

}  // namespace

TEST(fuse_gather_picks_rows_by_one_hot_products) {
  for (const char* spelled : {"Cast", "Where"}) {
    Build b;
    b.output(product(b, 3, b.counting<float>("table", {3, 2}), spelled));
    CHECK_EQ(fused(b.graph), "Max Min Add Squeeze Gather");
    const Value& table = b.graph.value(only(b.graph, Op::Gather).inputs[0]);
    const auto rows = table.data->as<float>();
    CHECK_EQ(std::vector<float>(rows.begin(), rows.end()), (std::vector<float>{0, 0, 1, 2, 3, 4, 5, 6, 0, 0}));
    CHECK_EQ(b.graph.value(b.graph.outputs[0]).shape, (Dims{-1, 5, 2}));
  }
}

TEST(fuse_gather_picks_rows_of_bytes) {
  Build b;
  const ValueId indices = b.input("indices", DType::i32, {4, 1});
  const ValueId equal = b.node(Op::Equal, {indices, b.constant<std::int32_t>("classes", {2}, {0, 1})});
  const ValueId hot = b.qdq(b.node(Op::Cast, {equal}, to_float()), 0.25F, 3);
  const ValueId scales = b.constant<float>("scales", {2}, {0.5F, 2});
  const ValueId table = b.node(Op::DequantizeLinear, {b.constant<std::int8_t>("w", {2, 2}, {1, -2, 3, 4}), scales},
                               Build::attr("axis", std::int64_t{1}));
  b.output(b.qdq(b.node(Op::MatMul, {hot, table}), 0.1F, 0));
  CHECK_EQ(fused(b.graph), "Max Min Add Squeeze Gather QuantizeLinear DequantizeLinear");
  const auto rows = b.graph.value(only(b.graph, Op::Gather).inputs[0]).data->as<float>();
  CHECK_EQ(std::vector<float>(rows.begin(), rows.end()), (std::vector<float>{0, 0, 0.5, -4, 1.5, 8, 0, 0}));
}

TEST(fuse_gather_leaves_other_products) {
  {
    Build b;  // 0 · ∞ is not 0
    b.output(product(b, 2, b.constant<float>("table", {2, 1}, {1, INFINITY})));
    CHECK_EQ(fused(b.graph), "Equal Cast MatMul");
  }
  {
    Build b;  // the classes do not count up
    const ValueId indices = b.input("indices", DType::i64, {4, 1});
    const ValueId equal = b.node(Op::Equal, {indices, b.ints({1, 0})});
    const ValueId hot = b.node(Op::Cast, {equal}, to_float());
    b.output(b.node(Op::MatMul, {hot, b.counting<float>("table", {2, 2})}));
    CHECK_EQ(fused(b.graph), "Equal Cast MatMul");
  }
}

TEST(fuse_gather_computes_the_table) {
  Build b;
  const ValueId indices = b.input("indices", DType::i64, {kDynamic});
  const ValueId rows = b.node(Op::Gather, {b.counting<float>("table", {2, 2}), indices});
  b.output(b.node(Op::Abs, {b.node(Op::Sub, {rows, b.constant<float>("row", {1, 2}, {3, 1})})}));
  CHECK_EQ(fused(b.graph), "Gather");
  const auto table = b.graph.value(only(b.graph, Op::Gather).inputs[0]).data->as<float>();
  CHECK_EQ(std::vector<float>(table.begin(), table.end()), (std::vector<float>{2, 1, 0, 3}));
}

TEST(fuse_gather_leaves_what_differs_from_row_to_row) {
  Build b;
  const ValueId rows = b.node(Op::Gather, {b.counting<float>("table", {2, 2}), b.input("indices", DType::i64, {3})});
  b.output(b.node(Op::Sub, {rows, b.counting<float>("column", {3, 1})}));
  CHECK_EQ(fused(b.graph), "Gather Sub");
}

TEST(fuse_gather_leaves_rows_that_others_use) {
  Build b;
  const ValueId rows = b.node(Op::Gather, {b.counting<float>("table", {2, 2}), b.input("indices", DType::i64, {3})});
  b.output(b.node(Op::Abs, {rows}));
  b.output(rows);
  CHECK_EQ(fused(b.graph), "Gather Abs");
}
