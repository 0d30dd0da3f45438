#include "cpp/check.h"
#include "cpp/passes_build.h"

using namespace quaver;
using namespace quaver::testing;

namespace {

std::string canonical(Graph& graph) {
  apply(graph, canonicalize);
  apply(graph, remove_dead);
  return ops(graph);
}

}  // namespace

TEST(canonicalize_drops_what_does_nothing) {
  Build b;
  ValueId x = b.input("x", DType::f32, {kDynamic, 4});
  x = b.node(Op::Identity, {x});
  x = b.node(Op::Cast, {x}, Build::attr("to", std::int64_t{0}));
  x = b.transpose(x, {0, 1});
  x = b.node(Op::Reshape, {x, b.ints({-1, 4})});
  x = b.node(Op::Slice, {x, b.ints({0}), b.ints({INT64_MAX}), b.ints({1})});
  x = b.node(Op::Pad, {x, b.ints({0, 0, 0, 0})});
  x = b.node(Op::Clip, {x});
  x = b.node(Op::Concat, {x}, Build::attr("axis", std::int64_t{1}));
  x = b.nodes(Op::Split, {x}, 1, Build::attr("axis", std::int64_t{1}))[0];
  b.output(b.node(Op::Tanh, {x}));
  CHECK_EQ(canonical(b.graph), "Tanh");
}

TEST(canonicalize_keeps_what_does_something) {
  Build b;
  ValueId x = b.input("x", DType::f32, {kDynamic, 4, kDynamic});
  x = b.transpose(x, {0, 2, 1});
  x = b.node(Op::Slice, {x, b.ints({1}), b.ints({INT64_MAX}), b.ints({2})});
  x = b.node(Op::Pad, {x, b.ints({0, 0, 0, 0, 0, 1})});
  x = b.node(Op::Clip, {x}, Build::attr("hi", 6.0));
  x = b.node(Op::Flatten, {x}, Build::attr("axis", std::int64_t{1}));
  b.output(b.node(Op::Tanh, {x}));
  // Two dimensions of Flatten's result are not known.
  CHECK_EQ(canonical(b.graph), "Transpose Slice Pad Clip Flatten Tanh");
}

TEST(canonicalize_drops_slices_that_end_where_the_axis_does) {
  for (const std::int64_t end : {3, 4}) {
    Build b;
    const ValueId x = b.input("x", DType::f32, {kDynamic, 4});
    b.output(b.node(Op::Tanh, {b.node(Op::Slice, {x, b.ints({0, 0}), b.ints({INT64_MAX, end}), b.ints({0, 1})})}));
    CHECK_EQ(canonical(b.graph), end == 4 ? "Tanh" : "Slice Tanh");
  }
}

TEST(canonicalize_keeps_names_of_the_interface) {
  Build b;
  const ValueId x = b.input("x", DType::f32, {2});
  const ValueId y = b.node(Op::Identity, {x});
  b.output(y);
  const ValueId t = b.node(Op::Tanh, {x}), z = b.node(Op::Identity, {t});
  b.output(z);
  b.output(b.node(Op::Exp, {t}));
  b.graph.value(z).name = "z";
  CHECK_EQ(canonical(b.graph), "Identity Tanh Exp");  // an input that is an output too needs its copy
  CHECK_EQ(b.graph.value(b.graph.outputs[1]).name, "z");
}

TEST(canonicalize_makes_views_one_reshape) {
  Build b;
  ValueId x = b.input("x", DType::f32, {kDynamic, 1, 1, 8});
  x = b.to_nchw(x);  // moves dimensions of 1 only
  x = b.node(Op::Squeeze, {x, b.ints({2, 3})});
  x = b.node(Op::Unsqueeze, {x, b.ints({1})});
  x = b.node(Op::Flatten, {x}, Build::attr("axis", std::int64_t{1}));
  b.output(x);
  CHECK_EQ(canonical(b.graph), "Reshape");
  const Node& reshape = only(b.graph, Op::Reshape);
  CHECK_EQ(ints_of(b.graph, reshape.inputs[1]), (std::vector<std::int64_t>{-1, 8}));
  CHECK_EQ(b.graph.value(reshape.outputs[0]).shape, (Dims{-1, 8}));
}

TEST(canonicalize_merges_transposes) {
  Build b;
  const ValueId x = b.input("x", DType::f32, {2, 3, 4, 5});
  b.output(b.node(Op::Tanh, {b.to_nhwc(b.to_nchw(x))}));
  b.output(b.transpose(b.to_nchw(x), {0, 1, 3, 2}));
  CHECK_EQ(canonical(b.graph), "Tanh Transpose");
  CHECK_EQ(only(b.graph, Op::Transpose).attrs.ints("perm"), (Perm{0, 3, 2, 1}));
}

TEST(canonicalize_computes_the_same_once) {
  Build b;
  const ValueId x = b.input("x", DType::f32, {2, 3, 4, 5});
  b.output(b.node(Op::Add, {b.node(Op::Exp, {b.to_nchw(x)}), b.node(Op::Tanh, {b.to_nchw(x)})}));
  b.output(b.node(Op::LeakyRelu, {x}, Build::attr("alpha", 0.1)));
  b.output(b.node(Op::LeakyRelu, {x}, Build::attr("alpha", 0.2)));
  CHECK_EQ(canonical(b.graph), "Transpose Exp Tanh Add LeakyRelu LeakyRelu");
}

TEST(remove_dead_keeps_inputs) {
  Build b;
  const ValueId x = b.input("x", DType::f32, {2});
  b.input("unused", DType::f32, {2});
  b.node(Op::Exp, {b.node(Op::Tanh, {x})});
  b.output(b.node(Op::Abs, {x}));
  CHECK(apply(b.graph, remove_dead));
  CHECK_EQ(ops(b.graph), "Abs");
  CHECK_EQ(b.graph.inputs.size(), 2u);
  CHECK(!apply(b.graph, remove_dead));
}

TEST(canonicalize_sinks_views_below_functions_of_single_elements) {
  Build b;
  const ValueId x = b.input("x", DType::f32, {1, 1, 1, 6});
  const ValueId conv = b.node(Op::Conv, {x, b.counting<float>("w", {6, 1, 1, 6})});
  const ValueId y = b.relu(b.node(Op::Reshape, {conv, b.ints({1, 6, 1, 1})}));
  b.output(b.node(Op::Exp, {y}));
  CHECK(apply(b.graph, canonicalize));
  CHECK_EQ(ops(b.graph), "Conv Clip Exp Reshape");
  CHECK_EQ(b.graph.value(b.graph.outputs[0]).shape, (Dims{1, 6, 1, 1}));
}

TEST(canonicalize_sinks_views_below_a_number_for_each_channel) {
  Build b;
  const ValueId x = b.input("x", DType::f32, {kDynamic, 5, 1, 6});
  const ValueId conv = b.node(Op::Conv, {x, b.counting<float>("w", {6, 1, 1, 6})});
  const ValueId flat = b.node(Op::Reshape, {conv, b.ints({-1, 5, 6})});
  b.output(b.node(Op::Add, {b.counting<float>("bias", {1, 1, 6}), flat}));
  CHECK(apply(b.graph, canonicalize));
  CHECK_EQ(ops(b.graph), "Conv Add Reshape");
  CHECK_EQ(b.graph.value(b.graph.outputs[0]).shape, (Dims{-1, 5, 6}));
}

TEST(canonicalize_keeps_views_that_move_channels) {
  Build b;
  const ValueId x = b.input("x", DType::f32, {4, 3, 2});
  b.output(b.node(Op::Mul, {b.node(Op::Reshape, {x, b.ints({4, 6})}), b.counting<float>("gain", {6})}));
  b.output(b.node(Op::Sub, {b.node(Op::Reshape, {x, b.ints({12, 2})}), b.counting<float>("rows", {12, 1})}));
  CHECK(!apply(b.graph, canonicalize));
}

TEST(canonicalize_leaves_views_that_others_use) {
  Build b;
  const ValueId y = b.node(Op::Reshape, {b.input("x", DType::f32, {2, 3}), b.ints({6})});
  b.output(b.node(Op::Exp, {y}));
  b.output(y);
  CHECK(!apply(b.graph, canonicalize));
}
