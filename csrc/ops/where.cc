// y = condition ? a : b, all three broadcast.
#include <cstring>

#include "ops/row_step.h"
#include "ops/walk.h"

namespace quaver {
namespace {

class WhereStep final : public RowStep {
 public:
  explicit WhereStep(const LowerContext& context)
      : walk_(context.output().shape,
              {broadcast_strides(context.input(0).shape, context.output().shape),
               broadcast_strides(context.input(1).shape, context.output().shape),
               broadcast_strides(context.input(2).shape, context.output().shape), strides_of(context.output().shape)}),
        condition_(context.in(0)),
        a_(context.in(1)),
        b_(context.in(2)),
        y_(context.out()),
        element_(size_of(context.output().dtype)) {
    info.kernel = "where";
    split(walk_.rows(), 3 * bytes_of(context.output()));
  }

 private:
  void run_rows(const RunContext& context, std::size_t first, std::size_t last) const override {
    switch (element_) {
      case 1: return run_elements<std::uint8_t>(context, first, last);
      case 2: return run_elements<std::uint16_t>(context, first, last);
      case 4: return run_elements<std::uint32_t>(context, first, last);
      default: return run_elements<std::uint64_t>(context, first, last);
    }
  }

  template <class T>
  void run_elements(const RunContext& context, std::size_t first, std::size_t last) const {
    const auto [c_step, a_step, b_step, y_step] = walk_.steps();
    walk_.each_row(first, last, [&, c_step = c_step, a_step = a_step, b_step = b_step](const auto& at) {
      const auto* condition = context.as<const std::uint8_t>(condition_) + at[0];
      const T* a = context.as<const T>(a_) + at[1];
      const T* b = context.as<const T>(b_) + at[2];
      T* y = context.as<T>(y_) + at[3];
      for (std::int64_t i = 0; i < static_cast<std::int64_t>(walk_.row_elements()); ++i) {
        y[i] = condition[i * c_step] ? a[i * a_step] : b[i * b_step];
      }
    });
  }

  Walk<4> walk_;
  ValueId condition_, a_, b_, y_;
  std::size_t element_;
};

}  // namespace

std::unique_ptr<Step> lower_Where(LowerContext& context) {
  const Value &a = context.input(1), &b = context.input(2), &y = context.output();
  if (a.dtype != b.dtype || a.dtype != y.dtype) {
    context.fail("it chooses between ", name_of(a.dtype), " and ", name_of(b.dtype));
  }
  if (a.quant || b.quant || y.quant) context.fail("it has no quantized form");
  return std::make_unique<WhereStep>(context);
}

}  // namespace quaver
