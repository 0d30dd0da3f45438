// Functions of one element that have no kernel of their own: reals in double precision, rounded once; quantized values
// by a table.
#include <bit>

#include "graph/unary.h"
#include "ops/requantize.h"
#include "ops/table_step.h"
#include "ops/wide_functions.h"

namespace quaver {

std::unique_ptr<Step> lower_wide_unary(LowerContext& context) {
  const Value &x = context.input(0), &y = context.output();
  const Node& node = context.node;
  const auto f = unary_function(node.op, node.attrs);
  if (is_quantized(x) && is_quantized(y)) {
    return std::make_unique<TableStep>(context, unary_table(f, *x.quant, *y.quant));
  }
  if (x.dtype != y.dtype || x.quant || y.quant) {
    context.fail("from ", name_of(x.dtype), " to ", name_of(y.dtype), "; both must be of one type");
  }
  if (is_real(x.dtype)) return wide_unary<double, double>(context, f);
  switch (node.op) {
    case Op::Clip:
    case Op::Ceil:
    case Op::Floor:
    case Op::Round: return wide_unary<double, double>(context, f);
    case Op::Abs: return wide_unary<std::int64_t, std::int64_t>(context, [](auto a) { return a < 0 ? 0 - a : a; });
    case Op::Neg: return wide_unary<std::uint64_t, std::uint64_t>(context, [](auto a) { return 0 - a; });
    case Op::Sign:
      return wide_unary<std::int64_t, std::int64_t>(context, [](auto a) { return std::int64_t{a > 0} - (a < 0); });
    default: context.fail("'", x.name, "' is ", name_of(x.dtype), "; a float type or quantized uint8 is expected");
  }
}

namespace {

void expect_real(const LowerContext& context) {
  const Value& x = context.input(0);
  if (!is_real(x.dtype)) context.fail("'", x.name, "' is ", name_of(x.dtype), "; a float type is expected");
}

}  // namespace

std::unique_ptr<Step> lower_IsNaN(LowerContext& context) {
  expect_real(context);
  return with_compared(context.input(0).dtype, [&]<class W>(W) {
    return wide_unary<W, std::uint8_t>(context, [](W x) { return std::uint8_t{x != x}; });
  });
}

std::unique_ptr<Step> lower_IsInf(LowerContext& context) {
  expect_real(context);
  const bool below = context.node.attrs.i("detect_negative", 1) != 0;
  const bool above = context.node.attrs.i("detect_positive", 1) != 0;
  return with_compared(context.input(0).dtype, [&]<class W>(W) {
    const W low = below ? -std::numeric_limits<W>::infinity() : W{0};
    const W high = above ? std::numeric_limits<W>::infinity() : W{0};
    return wide_unary<W, std::uint8_t>(context, [=](W x) { return std::uint8_t{x != 0 && (x == low || x == high)}; });
  });
}

std::unique_ptr<Step> lower_Not(LowerContext& context) {
  return with_compared(context.input(0).dtype, [&]<class W>(W) {
    return wide_unary<W, std::uint8_t>(context, [](W x) { return std::uint8_t{x == 0}; });
  });
}

std::unique_ptr<Step> lower_BitwiseNot(LowerContext& context) {
  return wide_unary<std::uint64_t, std::uint64_t>(context, [](auto x) { return ~x; });
}

}  // namespace quaver
