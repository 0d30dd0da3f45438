// Integers that models compute from shapes some of whose dimensions are open.
#include "check.h"
#include "passes_build.h"

using namespace quaver;
using namespace quaver::testing;

namespace {

Dims known(Build& b, ValueId id) {
  const Value& value = b.graph.value(id);
  return value.known ? *value.known : Dims{-99};
}

}  // namespace

TEST(graph_contents_follow_a_shape) {
  Build b;
  const ValueId x = b.input("x", DType::f32, {kDynamic, 2048, 6});
  const ValueId shape = b.node(Op::Shape, {x});
  CHECK_EQ(known(b, shape), (Dims{-1, 2048, 6}));
  const ValueId narrow = b.node(Op::Cast, {shape}, Build::attr("to", std::int64_t{3}));
  const ValueId batch = b.node(Op::Slice, {narrow, b.ints({0}), b.ints({1}), b.ints({0})});
  CHECK_EQ(known(b, batch), (Dims{-1}));
  CHECK_EQ(known(b, b.node(Op::Slice, {narrow, b.ints({-2}), b.ints({INT64_MAX}), b.ints({0})})), (Dims{2048, 6}));
  const ValueId fixed = b.constant<std::int32_t>("fixed", {2}, {512, 24});
  const ValueId to = b.node(Op::Concat, {batch, fixed}, Build::attr("axis", std::int64_t{0}));
  CHECK_EQ(known(b, to), (Dims{-1, 512, 24}));
  const ValueId last = b.node(Op::Gather, {shape, b.constant<std::int64_t>("i", {}, {-1})});
  CHECK_EQ(known(b, last), (Dims{6}));
  CHECK_EQ(known(b, b.node(Op::Mul, {last, b.ints({4})})), (Dims{24}));
  CHECK_EQ(known(b, b.node(Op::Div, {shape, b.ints({4})})), (Dims{-1, 512, 1}));
  CHECK_EQ(known(b, b.node(Op::Sub, {last, b.ints({7})})), (Dims{-1}));  // a negative number
}

TEST(graph_contents_decide_shapes) {
  Build b;
  const ValueId x = b.input("x", DType::f32, {kDynamic, 1, 6});
  const ValueId batch = b.node(Op::Slice, {b.node(Op::Shape, {x}), b.ints({0}), b.ints({1}), b.ints({0})});
  const ValueId to = b.node(Op::Concat, {batch, b.ints({4, 6})}, Build::attr("axis", std::int64_t{0}));
  CHECK_EQ(b.graph.value(b.node(Op::Expand, {x, to})).shape, (Dims{-1, 4, 6}));
  const ValueId flat = b.node(Op::Concat, {batch, b.ints({2, 3})}, Build::attr("axis", std::int64_t{0}));
  CHECK_EQ(b.graph.value(b.node(Op::Reshape, {x, flat})).shape, (Dims{-1, 2, 3}));
  const ValueId sizes = b.input("sizes", DType::i64, {4});
  CHECK_EQ(b.graph.value(b.node(Op::Expand, {x, sizes})).shape, (Dims{-1, -1, -1, 6}));
}

TEST(graph_contents_of_the_wrong_kind_stay_unknown) {
  Build b;
  const ValueId x = b.input("x", DType::f32, {2});
  CHECK_EQ(known(b, b.node(Op::Cast, {x}, Build::attr("to", std::int64_t{4}))), (Dims{-99}));
  CHECK_EQ(known(b, b.node(Op::Mul, {b.node(Op::Shape, {x}), b.ints({INT64_MAX})})), (Dims{-1}));
}
