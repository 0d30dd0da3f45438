#include <algorithm>
#include <cstring>
#include <type_traits>

#include "ops/row_step.h"

namespace quaver {
namespace {

// Indices are known only at run time, where nothing may fail: one outside the axis takes its nearest end.
template <class Index>
class GatherStep final : public RowStep {
 public:
  explicit GatherStep(const LowerContext& context) : x_(context.in(0)), indices_(context.in(1)), y_(context.out()) {
    const Dims& shape = context.input(0).shape;
    const auto axis = static_cast<std::size_t>(
        normalize_axis(context.node.attrs.i("axis", 0), static_cast<std::int64_t>(shape.size())));
    size_ = shape[axis];
    n_ = static_cast<std::size_t>(count(context.input(1).shape));
    chunk_ = static_cast<std::size_t>(strides_of(shape)[axis]) * size_of(context.input(0).dtype);
    const std::size_t outer =
        static_cast<std::size_t>(count(Dims(shape.begin(), shape.begin() + std::ptrdiff_t(axis))));
    if (size_ == 0 && n_ * outer * chunk_ > 0) context.fail("there is nothing to gather from ", to_string(shape));
    info.kernel = "gather";
    split(outer * n_, 2 * outer * n_ * chunk_);
  }

 private:
  void run_rows(const RunContext& context, std::size_t first, std::size_t last) const override {
    switch (chunk_) {  // of elements and pairs a call for each would take most of the time
      case 4: return copy(context, first, last, std::integral_constant<std::size_t, 4>{});
      case 8: return copy(context, first, last, std::integral_constant<std::size_t, 8>{});
      default: return copy(context, first, last, chunk_);
    }
  }

  template <class Chunk>
  void copy(const RunContext& context, std::size_t first, std::size_t last, Chunk chunk) const {
    const Index* indices = context.as<const Index>(indices_);
    std::byte* y = context.as<std::byte>(y_) + first * chunk;
    while (first < last) {
      const std::size_t outer = first / n_, begin = first % n_, end = std::min(n_, begin + last - first);
      const std::byte* x = context.as<const std::byte>(x_) + outer * static_cast<std::size_t>(size_) * chunk;
      for (std::size_t i = begin; i < end; ++i, y += chunk) {
        const std::int64_t given = indices[i];
        const std::int64_t at = std::clamp<std::int64_t>(given < 0 ? given + size_ : given, 0, size_ - 1);
        std::memcpy(y, x + static_cast<std::size_t>(at) * chunk, chunk);
      }
      first += end - begin;
    }
  }

  ValueId x_, indices_, y_;
  std::int64_t size_;
  std::size_t n_, chunk_;
};

}  // namespace

std::unique_ptr<Step> lower_Gather(LowerContext& context) {
  const DType dtype = context.input(1).dtype;
  if (dtype == DType::i64) return std::make_unique<GatherStep<std::int64_t>>(context);
  if (dtype == DType::i32) return std::make_unique<GatherStep<std::int32_t>>(context);
  context.fail("its indices are ", name_of(dtype), "; int32 and int64 can be used");
}

}  // namespace quaver
