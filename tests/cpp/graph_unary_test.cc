#include <cmath>
#include <limits>

#include "base/error.h"
#include "cpp/check.h"
#include "graph/unary.h"

namespace {

using namespace quaver;

TEST(unary_evaluates_with_attributes) {
  Attrs attrs;
  attrs.set("alpha", 0.5);
  attrs.set("lo", -1.0);
  CHECK_EQ(eval_unary(Op::LeakyRelu, attrs, -3), -1.5);
  CHECK_EQ(eval_unary(Op::LeakyRelu, {}, -3), -0.03);
  CHECK_EQ(eval_unary(Op::HardSigmoid, attrs, 0.5), 0.75);
  CHECK_EQ(eval_unary(Op::HardSwish, {}, 3), 3);
  CHECK_EQ(eval_unary(Op::HardSwish, {}, -std::numeric_limits<double>::infinity()), 0);
  CHECK_EQ(eval_unary(Op::Clip, attrs, -3), -1);
  CHECK_EQ(eval_unary(Op::Clip, attrs, 1e9), 1e9);
  CHECK_EQ(eval_unary(Op::Sigmoid, {}, 0), 0.5);
  CHECK(std::isnan(eval_unary(Op::Clip, attrs, std::nan(""))));
  CHECK_THROWS(eval_unary(Op::Conv, {}, 1), Error, "Conv is no function");
  int unary = 0;
  for (int op = 0; op < kOpCount; ++op) {
    if (!is_unary(static_cast<Op>(op))) continue;
    ++unary;
    const double outside = static_cast<Op>(op) == Op::Acosh ? 1.5 : 0.5;
    CHECK(!std::isnan(eval_unary(static_cast<Op>(op), {}, outside)));
  }
  CHECK_EQ(unary, 38);
}

TEST(unary_table_rounds_to_even_and_saturates) {
  const Quant in{{0.5F}, {10}, -1}, out{{1.0F}, {20}, -1};
  const UnaryTable table = unary_table([](double x) { return x; }, in, out);
  CHECK_EQ(+table[10], 20);
  CHECK_EQ(+table[11], 20);  // 0.5 → 0
  CHECK_EQ(+table[13], 22);  // 1.5 → 2
  CHECK_EQ(+table[9], 20);   // −0.5 → 0
  const UnaryTable far = unary_table([](double x) { return x * 1e30; }, in, out);
  CHECK_EQ(+far[0], 0);
  CHECK_EQ(+far[255], 255);
  const UnaryTable root = unary_table([](double x) { return std::sqrt(x); }, in, out);
  CHECK_EQ(+root[0], 20);  // NaN
  CHECK_EQ(+root[18], 22);
  const Quant per_axis{{1.0F, 2.0F}, {0, 0}, 0};
  CHECK_THROWS(unary_table([](double x) { return x; }, per_axis, out), Error, "one scale");
}

}  // namespace
