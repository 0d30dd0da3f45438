// ReduceMean, ReduceSum, ReduceMax. Reductions that keep the innermost dimension, as a mean over an image, run on the
// pooling kernels.
#include "kernels/reduce/reduce.h"
#include "kernels/elementwise/table.h"
#include "kernels/pool/pool.h"
#include "ops/lane_step.h"
#include "ops/reduce_plan.h"
#include "ops/requantize.h"
#include "ops/row_step.h"

namespace quaver {
namespace {

using kernels::PoolKind;
using kernels::ReduceKind;

enum class Reduce { sum, mean, max };

// What is done to a sum: fp32 divides it; bytes scale it.
struct Finish {
  float divisor = 1, mul = 1, lo = 0, hi = 0;
  std::int32_t a_zero = 0, zero = 0;

  Finish(const LowerContext& context, Reduce reduce, std::size_t n) {
    const double divide_by = reduce == Reduce::mean ? static_cast<double>(n) : 1.0;
    divisor = static_cast<float>(divide_by);
    const Value& x = context.input(0);
    if (x.dtype != DType::u8 || reduce == Reduce::max) return;
    if (n > std::size_t{1} << 23) context.fail("it sums ", n, " bytes; at most 2^23 fit its accumulator");
    const ByteOutput out(context, context.output());
    mul = static_cast<float>(static_cast<double>(context.scale(x)) / (static_cast<double>(out.scale) * divide_by));
    a_zero = context.zero_point(x);
    zero = out.zero;
    lo = out.lo;
    hi = out.hi;
  }

  template <class Args>
  void fill(Args& args) const {
    args.a_zero = a_zero;
    args.zero = zero;
    args.lo = lo;
    args.hi = hi;
  }
};

// The table that follows a maximum of bytes where its output is quantized otherwise.
class AfterMax {
 public:
  AfterMax(const LowerContext& context, Reduce reduce) : kernel_(kernels::pick_table(context.isa)) {
    if (reduce == Reduce::max) table_ = requantize_table(context, context.input(0), context.output());
  }

  void run(std::byte* y, std::size_t n) const {
    if (!table_) return;
    auto* bytes = reinterpret_cast<std::uint8_t*>(y);
    kernel_.run({n, bytes, table_->data(), bytes});
  }

 private:
  const kernels::TableKernel& kernel_;
  std::optional<ByteTable> table_;
};

class RowReduceStep final : public RowStep {
 public:
  RowReduceStep(const LowerContext& context, const ReducePlan& plan, Reduce reduce)
      : x_(context.in(0)),
        y_(context.out()),
        element_(size_of(context.input(0).dtype)),
        kernel_(kernels::pick_reduce(context.isa, kind(element_, reduce))),
        after_(context, reduce) {
    const Finish finish(context, reduce, plan.n);
    finish.fill(args_);
    args_.n = plan.n;
    args_.mul = finish.mul;
    args_.divisor = finish.divisor;
    names(kernel_);
    split(plan.outer, plan.outer * plan.n * element_);
  }

 private:
  static ReduceKind kind(std::size_t element, Reduce reduce) {
    if (reduce == Reduce::max) return element == 1 ? ReduceKind::max_u8 : ReduceKind::max_f32;
    return element == 1 ? ReduceKind::sum_u8 : ReduceKind::sum_f32;
  }

  void run_rows(const RunContext& context, std::size_t first, std::size_t last) const override {
    kernels::ReduceArgs args = args_;
    args.rows = last - first;
    args.a = context.as<std::byte>(x_) + first * args.n * element_;
    std::byte* y = context.as<std::byte>(y_) + first * element_;
    args.c = y;
    kernel_.run(args);
    after_.run(y, args.rows);
  }

  ValueId x_, y_;
  std::size_t element_;
  const kernels::ReduceKernel& kernel_;
  AfterMax after_;
  kernels::ReduceArgs args_;
};

// A row is a block of channels of one outer element.
class PoolReduceStep final : public RowStep {
 public:
  PoolReduceStep(const LowerContext& context, const ReducePlan& plan, Reduce reduce)
      : x_(context.in(0)),
        y_(context.out()),
        element_(size_of(context.input(0).dtype)),
        kernel_(kernels::pick_pool(context.isa, kind(element_, reduce))),
        after_(context, reduce),
        finish_(context, reduce, plan.taps.size()),
        bases_(plan.bases),
        channels_(plan.channels) {
    for (const std::int64_t tap : plan.taps) {
      const std::int64_t bytes = tap * static_cast<std::int64_t>(element_);
      if (bytes > INT32_MAX) context.fail("what it reduces passes 2 GiB");
      offsets_.push_back(static_cast<std::int32_t>(bytes));
    }
    finish_.fill(args_);
    args_.pixels = 1;
    args_.taps = offsets_.size();
    args_.offsets = offsets_.data();
    args_.mul = &finish_.mul;
    args_.divisor = &finish_.divisor;
    blocks_ = (channels_ * element_ + kBlockBytes - 1) / kBlockBytes;
    names(kernel_);
    split(bases_.size() * blocks_, bases_.size() * channels_ * args_.taps * element_);
  }

 private:
  static constexpr std::size_t kBlockBytes = 512;

  static PoolKind kind(std::size_t element, Reduce reduce) {
    if (reduce == Reduce::max) return element == 1 ? PoolKind::max_u8 : PoolKind::max_f32;
    return element == 1 ? PoolKind::average_u8 : PoolKind::average_f32;
  }

  void run_rows(const RunContext& context, std::size_t first, std::size_t last) const override {
    kernels::PoolArgs args = args_;
    for (std::size_t i = first; i < last; ++i) {
      const std::size_t base = i / blocks_, channel = i % blocks_ * (kBlockBytes / element_);
      args.channels = std::min(kBlockBytes / element_, channels_ - channel);
      args.a = context.as<std::byte>(x_) + (static_cast<std::size_t>(bases_[base]) + channel) * element_;
      std::byte* y = context.as<std::byte>(y_) + (base * channels_ + channel) * element_;
      args.c = y;
      kernel_.run(args);
      after_.run(y, args.channels);
    }
  }

  ValueId x_, y_;
  std::size_t element_;
  const kernels::PoolKernel& kernel_;
  AfterMax after_;
  Finish finish_;
  std::vector<std::int64_t> bases_;
  std::vector<std::int32_t> offsets_;
  std::size_t channels_, blocks_;
  kernels::PoolArgs args_;
};

// Whole numbers, as shapes are computed with; sums wrap, means are cut towards zero.
template <class T>
class IntReduceStep final : public Step {
 public:
  IntReduceStep(const LowerContext& context, ReducePlan plan, Reduce reduce)
      : x_(context.in(0)), y_(context.out()), plan_(std::move(plan)), reduce_(reduce) {
    info.kernel = "reduce_int";
    if (!plan_.trailing) return;
    for (std::size_t i = 0; i < plan_.n; ++i) plan_.taps.push_back(static_cast<std::int64_t>(i));
    for (std::size_t i = 0; i < plan_.outer; ++i) plan_.bases.push_back(static_cast<std::int64_t>(i * plan_.n));
  }

  void run(const RunContext& context, std::size_t, std::size_t) const override {
    const T* x = context.as<const T>(x_);
    T* y = context.as<T>(y_);
    for (const std::int64_t base : plan_.bases) {
      for (std::size_t j = 0; j < plan_.channels; ++j) *y++ = one(x + base + j);
    }
  }

 private:
  T one(const T* x) const {
    std::uint64_t sum = 0;
    T max = std::numeric_limits<T>::min();
    for (const std::int64_t tap : plan_.taps) {
      sum += static_cast<std::uint64_t>(x[tap]);
      max = std::max(max, x[tap]);
    }
    if (reduce_ == Reduce::max) return max;
    const auto total = static_cast<std::int64_t>(sum);
    const auto n = static_cast<std::int64_t>(plan_.taps.size());
    return static_cast<T>(reduce_ == Reduce::sum ? total : n ? total / n : 0);
  }

  ValueId x_, y_;
  ReducePlan plan_;
  Reduce reduce_;
};

std::unique_ptr<Step> lower_reduce(LowerContext& context, Reduce reduce) {
  const Value &x = context.input(0), &y = context.output();
  if (x.dtype != y.dtype) context.fail("it cannot turn ", name_of(x.dtype), " into ", name_of(y.dtype));
  ReducePlan plan = plan_reduce(context);
  if (x.dtype == DType::i32) return std::make_unique<IntReduceStep<std::int32_t>>(context, std::move(plan), reduce);
  if (x.dtype == DType::i64) return std::make_unique<IntReduceStep<std::int64_t>>(context, std::move(plan), reduce);
  const bool bytes = x.dtype == DType::u8 && (reduce == Reduce::max || is_quantized(x));
  if (x.dtype != DType::f32 && !bytes) return lower_wide_reduce(context);
  if (plan.trailing) return std::make_unique<RowReduceStep>(context, plan, reduce);
  return std::make_unique<PoolReduceStep>(context, plan, reduce);
}

}  // namespace

std::unique_ptr<Step> lower_ReduceMean(LowerContext& context) { return lower_reduce(context, Reduce::mean); }
std::unique_ptr<Step> lower_ReduceSum(LowerContext& context) { return lower_reduce(context, Reduce::sum); }
std::unique_ptr<Step> lower_ReduceMax(LowerContext& context) { return lower_reduce(context, Reduce::max); }

}  // namespace quaver
