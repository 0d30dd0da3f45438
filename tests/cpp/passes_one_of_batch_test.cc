// Which graphs let the images of a batch go their own ways, and what becomes of one of them.
#include "cpp/check.h"
#include "cpp/passes_build.h"

using namespace quaver;
using namespace quaver::testing;

namespace {

constexpr std::int64_t kImages = 4;

const Evaluator kNothing = [](const Graph&, const Node&) { return std::vector<Blob>{}; };

// The result of `make` on an input [4, 6, 4, 8], as a graph's output.
template <class Make>
std::optional<Graph> one_of(Make make) {
  Build b;
  b.output(make(b, b.input("x", DType::f32, {kImages, 6, 4, 8})));
  return one_of_batch(b.graph, kNothing);
}

template <class Make>
void expect_apart(const char* what, Make make) {
  const auto one = one_of(make);
  if (!one) return check::failed(__FILE__, __LINE__, text(what, ": taken to mix images"));
  CHECK_EQ(one->value(one->inputs[0]).shape, (Dims{1, 6, 4, 8}));
  CHECK_EQ(one->value(one->outputs[0]).shape[0], 1);
  verify(*one);
}

template <class Make>
void expect_mixed(const char* what, Make make) {
  if (one_of(make)) check::failed(__FILE__, __LINE__, text(what, ": taken to keep images apart"));
}

Attrs axis(std::int64_t at) { return Build::attr("axis", at); }
Attrs axes(std::vector<std::int64_t> at, std::int64_t keep = 1) {
  Attrs attrs = Build::attr("axes", std::move(at));
  attrs.set("keepdims", keep);
  return attrs;
}

}  // namespace

TEST(one_of_batch_follows_images) {
  expect_apart("Conv", [](Build& b, ValueId x) {
    const ValueId w = b.counting<float>("w", {8, 1, 1, 8});
    return b.node(Op::Conv, {x, w, kNone, x});
  });
  expect_apart("Reshape", [](Build& b, ValueId x) {
    x = b.node(Op::Reshape, {x, b.ints({kImages, 24, -1})});
    return b.node(Op::Reshape, {x, b.ints({kImages, 192})});
  });
  expect_apart("MatMul", [](Build& b, ValueId x) { return b.node(Op::MatMul, {x, b.counting<float>("w", {8, 3})}); });
  expect_apart("MatMul of several",
               [](Build& b, ValueId x) { return b.node(Op::MatMul, {x, b.counting<float>("w", {6, 8, 3})}); });
  expect_apart("Add of a row", [](Build& b, ValueId x) { return b.node(Op::Add, {x, b.counting<float>("c", {8})}); });
  expect_apart("Add of itself", [](Build& b, ValueId x) { return b.node(Op::Add, {x, b.relu(x)}); });
  expect_apart("Softmax", [](Build& b, ValueId x) { return b.node(Op::Softmax, {x}, axis(-1)); });
  expect_apart("ReduceMean", [](Build& b, ValueId x) { return b.node(Op::ReduceMean, {x}, axes({1, -2}, 0)); });
  expect_apart("Concat and Split", [](Build& b, ValueId x) {
    const std::vector<ValueId> two = b.nodes(Op::Split, {x}, 2, axis(1));
    return b.node(Op::Concat, {two[1], two[0]}, axis(2));
  });
  expect_apart("Slice",
               [](Build& b, ValueId x) { return b.node(Op::Slice, {x, b.ints({1}), b.ints({3}), b.ints({2})}); });
  expect_apart("Transpose", [](Build& b, ValueId x) { return b.transpose(x, {0, 3, 1, 2}); });
  expect_apart("Resize",
               [](Build& b, ValueId x) { return b.node(Op::Resize, {x, kNone, kNone, b.ints({kImages, 12, 8, 8})}); });
}

TEST(one_of_batch_refuses_what_may_mix_them) {
  expect_mixed("Softmax", [](Build& b, ValueId x) { return b.node(Op::Softmax, {x}, axis(0)); });
  expect_mixed("Softmax, counted from behind", [](Build& b, ValueId x) { return b.node(Op::Softmax, {x}, axis(-4)); });
  expect_mixed("ReduceMean of all", [](Build& b, ValueId x) { return b.node(Op::ReduceMean, {x}); });
  // What is left of a batch of 4 is 6, 4 and 8: a first dimension of 4 again, of something else.
  expect_mixed("ReduceMean", [](Build& b, ValueId x) { return b.node(Op::ReduceMean, {x}, axes({0, 1}, 0)); });
  expect_mixed("Transpose", [](Build& b, ValueId x) { return b.transpose(x, {2, 1, 0, 3}); });
  expect_mixed("Reshape", [](Build& b, ValueId x) { return b.node(Op::Reshape, {x, b.ints({24, kImages, 8})}); });
  expect_mixed("Add of a constant for each",
               [](Build& b, ValueId x) { return b.node(Op::Add, {x, b.counting<float>("c", {kImages, 1, 1, 1})}); });
  expect_mixed("Add of another rank", [](Build& b, ValueId x) {
    const ValueId y = b.node(Op::ReduceMean, {x}, axes({1, 2}, 0));  // [4, 8], which meets [.., 4, 8]
    return b.node(Op::Add, {x, y});
  });
  expect_mixed("Concat", [](Build& b, ValueId x) { return b.node(Op::Concat, {x, x}, axis(0)); });
  expect_mixed("Slice backwards", [](Build& b, ValueId x) {
    return b.node(Op::Slice, {x, b.ints({-1}), b.ints({INT64_MIN}), b.ints({0}), b.ints({-1})});
  });
  expect_mixed("MatMul of a matrix for each",
               [](Build& b, ValueId x) { return b.node(Op::MatMul, {x, b.counting<float>("w", {kImages, 1, 8, 3})}); });
  expect_mixed("MatMul from the left",
               [](Build& b, ValueId x) { return b.node(Op::MatMul, {b.counting<float>("w", {3, 4}), x}); });
  expect_mixed("Resize by a scale that rounds to the batch", [](Build& b, ValueId x) {
    const ValueId scales = b.constant<float>("s", {4}, {1.1F, 2, 1, 1});
    return b.node(Op::Resize, {x, kNone, scales});
  });
  expect_mixed("CumSum",
               [](Build& b, ValueId x) { return b.node(Op::CumSum, {x, b.constant<std::int64_t>("a", {}, {0})}); });
}

TEST(one_of_batch_needs_a_batch_of_all_inputs_and_outputs) {
  Build b;
  const ValueId x = b.input("x", DType::f32, {kImages, 8}), y = b.input("y", DType::f32, {1, 8});
  b.output(b.node(Op::Add, {x, y}));
  CHECK(!one_of_batch(b.graph, kNothing));
  Build single;
  single.output(single.relu(single.input("x", DType::f32, {1, 8})));
  CHECK(!one_of_batch(single.graph, kNothing));
  Build constant;
  constant.output(constant.relu(constant.input("x", DType::f32, {kImages, 8})));
  constant.output(constant.counting<float>("c", {kImages, 8}));
  CHECK(!one_of_batch(constant.graph, kNothing));
}
