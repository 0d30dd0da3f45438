// Reductions of any element type, in double precision or exact integers.
#include <cmath>

#include "ops/lane_step.h"
#include "ops/walk.h"

namespace quaver {
namespace {

// What a minimum or maximum of nothing is: the far end of the type that is stored.
template <class W>
W far_end(DType dtype, bool largest) {
  return with_type(dtype, [largest]<class T>(Tag<T>) -> W {
    if constexpr (std::is_class_v<T> || std::is_floating_point_v<T>) {
      constexpr double kInf = std::numeric_limits<double>::infinity();
      return static_cast<W>(largest ? -kInf : kInf);
    } else {
      using Limits = std::numeric_limits<T>;
      return static_cast<W>(largest ? Limits::min() : Limits::max());
    }
  });
}

// Folds f of the elements i ≡ l (mod 4) into part l, and then the parts: four chains do not wait for one another.
template <class W, class F, class Fold>
W folded(const W* x, std::size_t n, W from, F f, Fold fold) {
  W part[4] = {from, from, from, from};
  std::size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    for (std::size_t l = 0; l < 4; ++l) part[l] = fold(part[l], f(x[i + l]));
  }
  for (; i < n; ++i) part[i % 4] = fold(part[i % 4], f(x[i]));
  return fold(fold(part[0], part[1]), fold(part[2], part[3]));
}

// A NaN among them is the result.
template <class W>
W extreme(const W* x, std::size_t n, bool largest, W best) {
  const auto same = [](W a) { return a; };
  if (largest) return folded(x, n, best, same, [](W a, W b) { return a > b || a != a ? a : b; });
  return folded(x, n, best, same, [](W a, W b) { return a < b || a != a ? a : b; });
}

template <class W, class F>
W sum(const W* x, std::size_t n, F f) {
  return folded(x, n, W{0}, f, [](W a, W b) { return static_cast<W>(a + b); });
}

double log_sum_exp(const double* x, std::size_t n) {
  const double top = extreme(x, n, true, -std::numeric_limits<double>::infinity());
  if (!std::isfinite(top)) return n == 0 ? -std::numeric_limits<double>::infinity() : top;
  return top + std::log(sum(x, n, [top](double v) { return std::exp(v - top); }));
}

template <class W>
W reduced(Op op, DType dtype, const W* x, std::size_t n) {
  const auto same = [](W v) { return v; };
  const auto square = [](W v) { return static_cast<W>(v * v); };
  const auto size = [](W v) {
    if constexpr (std::is_same_v<W, double>) return std::abs(v);
    return v < 0 ? static_cast<W>(0 - v) : v;
  };
  switch (op) {
    case Op::ReduceMin: return extreme(x, n, false, far_end<W>(dtype, false));
    case Op::ReduceMax: return extreme(x, n, true, far_end<W>(dtype, true));
    case Op::ReduceSum: return sum(x, n, same);
    case Op::ReduceMean: return n ? sum(x, n, same) / static_cast<W>(n) : W{0};
    case Op::ReduceSumSquare: return sum(x, n, square);
    case Op::ReduceL1: return sum(x, n, size);
    case Op::ReduceL2: return static_cast<W>(std::sqrt(static_cast<double>(sum(x, n, square))));
    case Op::ReduceLogSum: return static_cast<W>(std::log(static_cast<double>(sum(x, n, same))));
    case Op::ReduceProd: {
      W product{1};
      for (std::size_t i = 0; i < n; ++i) product *= x[i];
      return product;
    }
    default:
      if constexpr (std::is_same_v<W, double>) return log_sum_exp(x, n);
      return W{0};
  }
}

template <class W>
std::unique_ptr<Step> lower(LowerContext& context) {
  const Dims& dims = context.input(0).shape;
  const Attrs& attrs = context.node.attrs;
  const auto axes = attrs.ints("axes");
  std::vector<bool> along(dims.size(), axes.empty() && attrs.i("noop_with_empty_axes", 0) == 0);
  for (const std::int64_t axis : axes) {
    along[static_cast<std::size_t>(normalize_axis(axis, static_cast<std::int64_t>(dims.size())))] = true;
  }
  Lanes x(dims, along), y({count(context.output().shape)}, {false});
  y.taps = {0};
  const auto f = [op = context.node.op, dtype = context.input(0).dtype](const W* lane, std::size_t n, W* const* out) {
    *out[0] = reduced(op, dtype, lane, n);
  };
  return std::make_unique<LaneStep<W>>(context, std::move(x), std::vector<Lanes>{std::move(y)}, f);
}

}  // namespace

std::unique_ptr<Step> lower_wide_reduce(LowerContext& context) {
  const Value &x = context.input(0), &y = context.output();
  if (x.quant || y.quant) context.fail("it has no quantized form");
  if (x.dtype != y.dtype) context.fail("it cannot turn ", name_of(x.dtype), " into ", name_of(y.dtype));
  // Logarithms and roots of integers are cut, as ONNX's reference does.
  const Op op = context.node.op;
  if (op == Op::ReduceLogSum || op == Op::ReduceLogSumExp || op == Op::ReduceL2) return lower<double>(context);
  return with_wide(x.dtype, [&]<class W>(W) { return lower<W>(context); });
}

std::unique_ptr<Step> lower_ReduceMin(LowerContext& context) { return lower_wide_reduce(context); }
std::unique_ptr<Step> lower_ReduceProd(LowerContext& context) { return lower_wide_reduce(context); }
std::unique_ptr<Step> lower_ReduceL1(LowerContext& context) { return lower_wide_reduce(context); }
std::unique_ptr<Step> lower_ReduceL2(LowerContext& context) { return lower_wide_reduce(context); }
std::unique_ptr<Step> lower_ReduceLogSum(LowerContext& context) { return lower_wide_reduce(context); }
std::unique_ptr<Step> lower_ReduceLogSumExp(LowerContext& context) { return lower_wide_reduce(context); }
std::unique_ptr<Step> lower_ReduceSumSquare(LowerContext& context) { return lower_wide_reduce(context); }

}  // namespace quaver
