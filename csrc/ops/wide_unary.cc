// Functions of one element that have no kernel of their own: reals in double precision, rounded once; quantized values
// by a table.
#include <bit>

#include "graph/unary.h"
#include "ops/integers.h"
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

class TestStep final : public ElementStep {
 public:
  TestStep(const LowerContext& context, kernels::TestOp op, float lo = 0, float hi = 0)
      : kernel_(kernels::pick_test_f32(context.isa).run), x_(context.in(0)), y_(context.out()) {
    names(kernels::pick_test_f32(context.isa));
    args_.op = op;
    args_.lo = lo, args_.hi = hi;
    split_elements(elements_of(context.output()), bytes_of(context.input(0)));
  }

 private:
  void run_elements(const RunContext& context, std::size_t begin, std::size_t end) const override {
    kernels::TestF32Args args = args_;
    args.n = end - begin;
    args.x = context.as<const float>(x_) + begin;
    args.y = context.as<std::uint8_t>(y_) + begin;
    kernel_(args);
  }

  void (*kernel_)(const kernels::TestF32Args&);
  kernels::TestF32Args args_;
  ValueId x_, y_;
};

}  // namespace

std::unique_ptr<Step> lower_IsNaN(LowerContext& context) {
  expect_real(context);
  if (context.input(0).dtype == DType::f32) return std::make_unique<TestStep>(context, kernels::TestOp::nan);
  return wide_unary<double, std::uint8_t>(context, [](double x) { return std::uint8_t{x != x}; });
}

// What lies beyond the largest numbers.
std::unique_ptr<Step> lower_IsInf(LowerContext& context) {
  expect_real(context);
  const auto bounds = [&]<class Real>(Real most) {
    constexpr Real kInf = std::numeric_limits<Real>::infinity();
    const Attrs& attrs = context.node.attrs;
    return std::pair{attrs.i("detect_negative", 1) ? -most : -kInf, attrs.i("detect_positive", 1) ? most : kInf};
  };
  if (context.input(0).dtype == DType::f32) {
    const auto [lo, hi] = bounds(std::numeric_limits<float>::max());
    return std::make_unique<TestStep>(context, kernels::TestOp::outside, lo, hi);
  }
  const auto [lo, hi] = bounds(std::numeric_limits<double>::max());
  return wide_unary<double, std::uint8_t>(
      context, [lo = lo, hi = hi](double x) { return static_cast<std::uint8_t>(x < lo || x > hi); });
}

std::unique_ptr<Step> lower_Not(LowerContext& context) {
  return std::make_unique<IntegerStep<std::uint8_t>>(context, kernels::IntegerOp::bit_xor, 1);
}

std::unique_ptr<Step> lower_BitwiseNot(LowerContext& context) {
  return wide_unary<std::uint64_t, std::uint64_t>(context, [](auto x) { return ~x; });
}

}  // namespace quaver
