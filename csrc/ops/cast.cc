// Cast between all element types, as ops/wide.h defines it.
#include "ops/elements.h"
#include "ops/wide.h"

namespace quaver {
namespace {

template <class W>
class CastStep final : public ElementStep {
 public:
  explicit CastStep(const LowerContext& context)
      : x_(context.in(0)),
        y_(context.out()),
        from_(size_of(context.input(0).dtype)),
        to_(size_of(context.output().dtype)),
        read_(with_type(context.input(0).dtype, []<class T>(Tag<T>) -> ReadWide<W> { return &read_wide<T, W>; })),
        write_(with_type(context.output().dtype, []<class T>(Tag<T>) -> WriteWide<W> { return &write_wide<T, W>; })) {
    info.kernel = "cast";
    split_elements(elements_of(context.output()), bytes_of(context.input(0)) + bytes_of(context.output()));
  }

 private:
  static constexpr std::size_t kBlock = 256;

  void run_elements(const RunContext& context, std::size_t begin, std::size_t end) const override {
    W wide[kBlock];
    for (std::size_t i = begin; i < end; i += kBlock) {
      const std::size_t n = std::min(kBlock, end - i);
      read_(context.as<const std::byte>(x_) + i * from_, 1, n, wide);
      write_(wide, 1, n, context.as<std::byte>(y_) + i * to_);
    }
  }

  ValueId x_, y_;
  std::size_t from_, to_;
  ReadWide<W> read_;
  WriteWide<W> write_;
};

// Whether a float holds all that `from` does; of integers it pays on the way to a real.
bool by_float(DType from, DType to) {
  if (is_real(from)) return from != DType::f64;
  return is_real(to) && (size_of(from) <= 2);
}

}  // namespace

std::unique_ptr<Step> lower_Cast(LowerContext& context) {
  const DType from = context.input(0).dtype;
  if (by_float(from, context.output().dtype)) return std::make_unique<CastStep<float>>(context);
  return with_wide(from, [&]<class W>(W) -> std::unique_ptr<Step> { return std::make_unique<CastStep<W>>(context); });
}

}  // namespace quaver
