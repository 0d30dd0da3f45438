// The upper or lower triangle of matrices; the rest is 0.
#include <cstring>

#include "ops/row_step.h"

namespace quaver {
namespace {

class TriluStep final : public RowStep {
 public:
  explicit TriluStep(const LowerContext& context)
      : x_(context.in(0)),
        y_(context.out()),
        k_(context.has_input(1) ? context.in(1) : kNone),
        upper_(context.node.attrs.i("upper", 1) != 0),
        element_(static_cast<std::int64_t>(size_of(context.input(0).dtype))) {
    const Dims& dims = context.input(0).shape;
    rows_ = dims[dims.size() - 2];
    columns_ = dims.back();
    info.kernel = "trilu";
    split(columns_ ? static_cast<std::size_t>(count(dims) / columns_) : 0, 2 * bytes_of(context.output()));
  }

 private:
  void run_rows(const RunContext& context, std::size_t first, std::size_t last) const override {
    const std::int64_t k = k_ == kNone ? 0 : *context.as<const std::int64_t>(k_);
    for (std::size_t i = first; i < last; ++i) {
      const auto row = static_cast<std::int64_t>(i) % rows_;
      const std::int64_t from_diagonal = std::clamp<std::int64_t>(k, -rows_, columns_) + row + (upper_ ? 0 : 1);
      const std::int64_t at = std::clamp<std::int64_t>(from_diagonal, 0, columns_);
      const std::int64_t begin = upper_ ? at : 0, end = upper_ ? columns_ : at;
      const std::int64_t offset = static_cast<std::int64_t>(i) * columns_ * element_;
      std::byte* y = context.as<std::byte>(y_) + offset;
      std::memset(y, 0, static_cast<std::size_t>(columns_ * element_));
      std::memcpy(y + begin * element_, context.as<const std::byte>(x_) + offset + begin * element_,
                  static_cast<std::size_t>((end - begin) * element_));
    }
  }

  ValueId x_, y_, k_;
  bool upper_;
  std::int64_t element_, rows_, columns_;
};

}  // namespace

std::unique_ptr<Step> lower_Trilu(LowerContext& context) {
  if (context.input(0).quant) context.fail("it has no quantized form");
  return std::make_unique<TriluStep>(context);
}

}  // namespace quaver
