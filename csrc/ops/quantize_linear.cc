#include "kernels/quantize/quantize.h"
#include "ops/row_step.h"
#include "ops/scales.h"

namespace quaver {
namespace {

// From fp32, or from int32 by way of fp32.
template <class X>
class QuantizeStep final : public RowStep {
 public:
  explicit QuantizeStep(const LowerContext& context)
      : scales_(context, context.output().dtype, context.output().shape),
        rounding_(scales_.rounding(context)),
        kernel_(kernels::pick_quantize(context.isa)),
        x_(context.in(0)),
        y_(context.out()) {
    names(kernel_);
    split(scales_.rows(), bytes_of(context.input(0)) + bytes_of(context.output()));
  }

  const ByteRounding* rounding() const override {
    return std::is_same_v<X, float> && rounding_ ? &*rounding_ : nullptr;
  }

 private:
  void run_rows(const RunContext& context, std::size_t first, std::size_t last) const override {
    if constexpr (std::is_same_v<X, float>) {
      if (rounding_ && scales_.step()) {
        const std::size_t columns = scales_.row(), begin = first * columns;
        rounding_->run(context.as<const float>(x_) + begin, last - first, 0, columns,
                       context.as<std::uint8_t>(y_) + begin, columns);
        return;
      }
    }
    scales_.each_row(context, first, last, [&](const Scales::Row& row) {
      const X* x = context.as<const X>(x_) + row.begin;
      auto* y = context.as<std::uint8_t>(y_) + row.begin;
      if constexpr (std::is_same_v<X, float>) {
        run_floats(row, x, row.n, 0, y);
      } else {
        float real[kBlock];
        for (std::size_t i = 0; i < row.n; i += kBlock) {
          const std::size_t n = std::min(kBlock, row.n - i);
          std::copy_n(x + i, n, real);
          run_floats(row, real, n, i * scales_.step(), y + i);
        }
      }
    });
  }

  void run_floats(const Scales::Row& row, const float* x, std::size_t n, std::size_t at, std::uint8_t* y) const {
    kernel_.run({n, x, row.scale + at, row.zero_point + at, scales_.step(), scales_.flip(), y});
  }

  static constexpr std::size_t kBlock = 256;
  Scales scales_;
  std::optional<ByteRounding> rounding_;
  const kernels::QuantizeKernel& kernel_;
  ValueId x_, y_;
};

}  // namespace

std::unique_ptr<Step> lower_QuantizeLinear(LowerContext& context) {
  const DType x = context.input(0).dtype, y = context.output().dtype;
  if (y != DType::u8 && y != DType::s8) context.fail("to ", name_of(y), "; uint8 and int8 can be made");
  if (x == DType::f32) return std::make_unique<QuantizeStep<float>>(context);
  if (x == DType::i32) return std::make_unique<QuantizeStep<std::int32_t>>(context);
  context.fail("from ", name_of(x), "; float32 and int32 can be quantized");
}

}  // namespace quaver
