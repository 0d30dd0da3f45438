#include "cpp/check.h"
#include "cpp/passes_build.h"

using namespace quaver;
using namespace quaver::testing;

namespace {

// x [2, 3, 4] times `factors`, to bytes of scale 0.5 around 7.
Build scaled(Dims shape, const std::vector<float>& factors) {
  Build b;
  const ValueId x = b.input("x", DType::f32, {2, 3, 4});
  const ValueId f = b.constant<float>("factors", std::move(shape), factors);
  b.output(b.quantize(b.node(Op::Mul, {x, f}), 0.5F, 7));
  return b;
}

bool folds(Build b) { return fold_factors(b.graph, {}); }

}  // namespace

TEST(fold_factors_makes_scales_of_them) {
  Build b = scaled({3, 1}, {2, 0.25F, 1});
  CHECK(fold_factors(b.graph, {}));
  CHECK_EQ(ops(b.graph), "QuantizeLinear");
  const Node& node = only(b.graph, Op::QuantizeLinear);
  CHECK_EQ(node.attrs.i("axis", -1), 1);
  const auto scales = b.graph.value(node.inputs[1]).data->as<float>();
  CHECK_EQ(std::vector<float>(scales.begin(), scales.end()), (std::vector<float>{0.25F, 2, 0.5F}));
  const auto zeros = b.graph.value(node.inputs[2]).data->as<std::uint8_t>();
  CHECK_EQ(std::vector<int>(zeros.begin(), zeros.end()), (std::vector<int>{7, 7, 7}));
  verify(b.graph);
}

TEST(fold_factors_finds_the_last_axis) {
  Build b = scaled({4}, {2, 4, 8, 1});
  CHECK(fold_factors(b.graph, {}));
  CHECK_EQ(only(b.graph, Op::QuantizeLinear).attrs.i("axis", -1), 2);
}

TEST(fold_factors_leaves_what_no_scale_can_be) {
  CHECK(!folds(scaled({3, 1}, {2, -1, 1})));     // negative
  CHECK(!folds(scaled({3, 1}, {2, 0, 1})));      // nothing
  CHECK(!folds(scaled({3, 1}, {2, 1e30F, 1})));  // beyond a float
  std::vector<float> all(12, 2);
  CHECK(!folds(scaled({3, 4}, all)));  // not along one axis
}

TEST(fold_factors_leaves_a_product_that_others_use) {
  Build b = scaled({3, 1}, {2, 1, 1});
  b.output(b.graph.nodes[0].outputs[0]);
  CHECK(!folds(b));
}
