// Cast between all element types: by a kernel between the common ones, as ops/wide.h defines it between others.
#include <optional>

#include "kernels/cast/cast.h"
#include "ops/elements.h"
#include "ops/wide.h"

namespace quaver {
namespace {

using kernels::Number;

std::optional<Number> number_of(DType dtype) {
  switch (dtype) {
    case DType::f32: return Number::f32;
    case DType::f16: return Number::f16;
    case DType::bf16: return Number::bf16;
    case DType::u8: return Number::u8;
    case DType::s8: return Number::s8;
    case DType::i32: return Number::i32;
    case DType::i64: return Number::i64;
    case DType::boolean: return Number::boolean;
    default: return std::nullopt;
  }
}

class CastStep : public ElementStep {
 protected:
  explicit CastStep(const LowerContext& context)
      : x_(context.in(0)),
        y_(context.out()),
        from_(size_of(context.input(0).dtype)),
        to_(size_of(context.output().dtype)) {
    split_elements(elements_of(context.output()), bytes_of(context.input(0)) + bytes_of(context.output()));
  }

  const std::byte* from(const RunContext& context, std::size_t i) const {
    return context.as<const std::byte>(x_) + i * from_;
  }
  std::byte* to(const RunContext& context, std::size_t i) const { return context.as<std::byte>(y_) + i * to_; }

 private:
  ValueId x_, y_;
  std::size_t from_, to_;
};

class CommonCastStep final : public CastStep {
 public:
  CommonCastStep(const LowerContext& context, Number from, Number to)
      : CastStep(context), kernel_(kernels::pick_cast(context.isa).run), from_(from), to_(to) {
    names(kernels::pick_cast(context.isa));
  }

 private:
  void run_elements(const RunContext& context, std::size_t begin, std::size_t end) const override {
    kernel_({from_, to_, end - begin, from(context, begin), to(context, begin)});
  }

  void (*kernel_)(const kernels::CastArgs&);
  Number from_, to_;
};

template <class W>
class WideCastStep final : public CastStep {
 public:
  explicit WideCastStep(const LowerContext& context)
      : CastStep(context), read_(reader_of<W>(context.input(0).dtype)), write_(writer_of<W>(context.output().dtype)) {
    info.kernel = "cast";
  }

 private:
  static constexpr std::size_t kBlock = 256;

  void run_elements(const RunContext& context, std::size_t begin, std::size_t end) const override {
    W wide[kBlock];
    for (std::size_t i = begin; i < end; i += kBlock) {
      const std::size_t n = std::min(kBlock, end - i);
      read_(from(context, i), 1, n, wide);
      write_(wide, 1, n, to(context, i));
    }
  }

  ReadWide<W> read_;
  WriteWide<W> write_;
};

}  // namespace

std::unique_ptr<Step> lower_Cast(LowerContext& context) {
  const DType x = context.input(0).dtype;
  const auto from = number_of(x), to = number_of(context.output().dtype);
  if (from && to) return std::make_unique<CommonCastStep>(context, *from, *to);
  return with_wide(x, [&]<class W>(W) -> std::unique_ptr<Step> { return std::make_unique<WideCastStep<W>>(context); });
}

}  // namespace quaver
