#include "kernels/quantize/quantize.h"
#include "ops/real_tail.h"
#include "ops/row_step.h"
#include "ops/scales.h"

namespace quaver {
namespace {

class DequantizeStep : public RowStep {
 public:
  explicit DequantizeStep(const LowerContext& context)
      : scales_(context, context.input(0).dtype, context.output().shape), x_(context.in(0)), y_(context.out()) {
    split(scales_.rows(), bytes_of(context.input(0)) + bytes_of(context.output()));
  }

 protected:
  Scales scales_;
  ValueId x_, y_;
};

class DequantizeBytes final : public DequantizeStep {
 public:
  explicit DequantizeBytes(const LowerContext& context)
      : DequantizeStep(context),
        kernel_(kernels::pick_dequantize(context.isa)),
        elements_(static_cast<std::size_t>(count(context.output().shape))) {
    names(kernel_);
  }

  bool absorb_function(const RealFunction& function, ValueId out) override {
    if (!reals_.add(function)) return false;
    y_ = out;
    return true;
  }

  // A row is all columns then, or again some elements under one scale.
  bool absorb_rounding(const ByteRounding& rounding, ValueId out) override {
    const std::size_t columns = rounding.columns() > 1 ? rounding.columns() : scales_.row();
    if (!scales_.one() || elements_ % columns != 0 || !reals_.add(rounding)) return false;
    y_ = out;
    columns_ = columns;
    split(elements_ / columns, 2 * elements_);
    scratch = std::max(columns, kTile) * sizeof(float);
    return true;
  }

 private:
  static constexpr std::size_t kTile = 4096;

  void run_rows(const RunContext& context, std::size_t first, std::size_t last) const override {
    if (reals_.makes_bytes()) return run_tiles(context, first, last);
    scales_.each_row(context, first, last, [&](const Scales::Row& row) {
      const auto* x = context.as<const std::uint8_t>(x_) + row.begin;
      float* y = context.as<float>(y_) + row.begin;
      kernel_.run({row.n, x, row.scale, row.zero_point, scales_.step(), scales_.flip(), y});
      reals_.run(reinterpret_cast<std::byte*>(y), 1, row.n, row.n * sizeof(float));
    });
  }

  // From bytes to bytes, by way of floats that stay in the nearest cache.
  void run_tiles(const RunContext& context, std::size_t first, std::size_t last) const {
    const std::size_t rows = std::max<std::size_t>(kTile / columns_, 1);
    scales_.each_row(context, 0, 1, [&](const Scales::Row& all) {
      for (std::size_t row = first; row < last; row += rows) {
        const std::size_t count = std::min(rows, last - row), begin = row * columns_;
        const auto* x = context.as<const std::uint8_t>(x_) + begin;
        auto* tile = reinterpret_cast<float*>(context.scratch);
        kernel_.run({count * columns_, x, all.scale, all.zero_point, 0, scales_.flip(), tile});
        reals_.run(context.scratch, count, columns_, columns_ * sizeof(float));
        reals_.store(context.scratch, count, columns_, context.as<std::byte>(y_), begin, columns_);
      }
    });
  }

  const kernels::DequantizeKernel& kernel_;
  const std::size_t elements_;
  RealTail reals_;
  std::size_t columns_ = 1;
};

template <class X>
class DequantizeIntegers final : public DequantizeStep {
 public:
  explicit DequantizeIntegers(const LowerContext& context) : DequantizeStep(context) { info.kernel = "dequantize"; }

 private:
  void run_rows(const RunContext& context, std::size_t first, std::size_t last) const override {
    const std::size_t step = scales_.step();
    scales_.each_row(context, first, last, [&](const Scales::Row& row) {
      const X* x = context.as<const X>(x_) + row.begin;
      float* y = context.as<float>(y_) + row.begin;
      for (std::size_t i = 0; i < row.n; ++i) {
        y[i] = static_cast<float>(std::int64_t{x[i]} - row.zero_point[i * step]) * row.scale[i * step];
      }
    });
  }
};

}  // namespace

std::unique_ptr<Step> lower_DequantizeLinear(LowerContext& context) {
  const DType x = context.input(0).dtype, y = context.output().dtype;
  if (y != DType::f32) context.fail("to ", name_of(y), "; float32 can be made");
  switch (x) {
    case DType::u8:
    case DType::s8: return std::make_unique<DequantizeBytes>(context);
    case DType::u16: return std::make_unique<DequantizeIntegers<std::uint16_t>>(context);
    case DType::s16: return std::make_unique<DequantizeIntegers<std::int16_t>>(context);
    case DType::i32: return std::make_unique<DequantizeIntegers<std::int32_t>>(context);
    default: context.fail("from ", name_of(x), "; 8- and 16-bit integers and int32 can be used");
  }
}

}  // namespace quaver
