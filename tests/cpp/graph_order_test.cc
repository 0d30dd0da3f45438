#include "check.h"
#include "graph_builder.h"

using namespace quaver;
using namespace quaver::testing;

namespace {

std::vector<Op> ops_of(const Graph& graph) {
  std::vector<Op> ops;
  for (const Node& n : graph.nodes) ops.push_back(n.op);
  return ops;
}

}  // namespace

TEST(graph_every_operator_has_a_name_and_a_schema) {
  for (int i = 0; i < kOpCount; ++i) {
    const Op op = static_cast<Op>(i);
    CHECK(op_from_name(name_of(op)) == op);
    const OpSchema& schema = schema_of(op);
    CHECK(schema.infer != nullptr);
    CHECK(schema.min_inputs <= schema.max_inputs && schema.min_outputs <= schema.max_outputs);
    CHECK(!schema.alias || schema.moves);
  }
  CHECK(!op_from_name("Convolution"));
}

TEST(graph_compact_drops_what_nobody_uses) {
  Graph g;
  const ValueId unused_input = input(g, {3});
  const ValueId x = input(g, {2});
  const ValueId kept = node(g, Op::Tanh, {x});
  const ValueId lost = node(g, Op::Exp, {x});
  node(g, Op::Sqrt, {lost});  // unused, and so is what it uses
  g.outputs = {node(g, Op::Neg, {kept})};
  ints(g, {1, 2});
  g.compact();
  CHECK_EQ(ops_of(g), (std::vector<Op>{Op::Tanh, Op::Neg}));
  CHECK_EQ(g.values.size(), std::size_t{4});  // both inputs stay
  CHECK_EQ(g.value(g.inputs[0]).shape, (Dims{3}));
  CHECK_EQ(g.inputs[0], unused_input);
  verify(g);
}

TEST(graph_compact_keeps_a_node_with_one_used_output) {
  Graph g;
  const ValueId first = node(g, Op::Split, {input(g, {4})}, {{"axis", 0}}, 2);
  g.outputs = {first + 1};
  g.compact();
  CHECK_EQ(g.nodes.size(), std::size_t{1});
  CHECK_EQ(g.nodes[0].outputs.size(), std::size_t{2});
}

TEST(graph_sort_restores_run_order_and_is_stable) {
  Graph g;
  const ValueId x = input(g, {2});
  const ValueId late = g.add_value("late", DType::f32);
  g.outputs = {node(g, Op::Neg, {late}), node(g, Op::Abs, {x})};
  g.add_node(Op::Exp, "n", {x}, {late});
  CHECK_THROWS(verify(g), Error, "is used before it is made");
  g.sort();
  CHECK_EQ(ops_of(g), (std::vector<Op>{Op::Abs, Op::Exp, Op::Neg}));
  verify(g);
  g.sort();
  CHECK_EQ(ops_of(g), (std::vector<Op>{Op::Abs, Op::Exp, Op::Neg}));
}

TEST(graph_sort_names_a_cycle) {
  Graph g;
  const ValueId a = g.add_value("a", DType::f32), b = g.add_value("b", DType::f32);
  g.add_node(Op::Add, "loop", {a, b}, {b});
  CHECK_THROWS(g.sort(), Error, "Add 'loop': its inputs depend on its own outputs (a cycle)");
}

TEST(graph_uses_count_nodes_and_outputs) {
  Graph g;
  const ValueId x = input(g, {2});
  const ValueId y = node(g, Op::Add, {x, x});
  node(g, Op::Neg, {x});
  g.nodes.back().dead = true;
  g.outputs = {y, y};
  const Uses uses(g);
  CHECK_EQ(uses.count[x], 2U);
  CHECK_EQ(uses.consumers[x], (std::vector<NodeId>{0, 0}));
  CHECK_EQ(uses.count[y], 2U);
  CHECK_EQ(uses.producer[y], 0U);
  CHECK_EQ(uses.producer[x], kNone);
}

TEST(graph_replace_uses_reaches_nodes_and_outputs) {
  Graph g;
  const ValueId x = input(g, {2});
  const ValueId y = node(g, Op::Identity, {x});
  const ValueId z = node(g, Op::Neg, {y});
  g.outputs = {y, z};
  g.replace_uses(y, x);
  CHECK_EQ(g.nodes[1].inputs, (std::vector<ValueId>{x}));
  CHECK_EQ(g.outputs, (std::vector<ValueId>{x, z}));
  CHECK(g.is_output(x) && !g.is_output(y) && g.is_input(x) && !g.is_input(z));
}

TEST(graph_dump_shows_a_node_a_line) {
  Graph g;
  const ValueId x = input(g, {kDynamic, 3});
  const ValueId y = node(g, Op::Transpose, {x}, {{"perm", Ints{1, 0}}});
  g.outputs = {y};
  infer_shapes(g);
  CHECK_EQ(dump(g), std::string("%0 = input 'x' : float32[?, 3]\n"
                                "%1 = Transpose(%0) {perm=[1, 0]} : float32[3, ?]  // n\n"
                                "output %1 'y'\n"));
}
