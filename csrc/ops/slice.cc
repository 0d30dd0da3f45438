#include "ops/constant_ints.h"
#include "ops/copy.h"

namespace quaver {
namespace {

// Where a slice begins, as ONNX wraps and clamps it; graph/ops/slice.cc gives its length.
std::int64_t first_of(std::int64_t start, std::int64_t step, std::int64_t size) {
  if (start < 0) start = std::max<std::int64_t>(start, -size) + size;
  return step > 0 ? std::clamp<std::int64_t>(start, 0, size) : std::clamp<std::int64_t>(start, 0, size - 1);
}

}  // namespace

std::unique_ptr<Step> lower_Slice(LowerContext& context) {
  const Value &x = context.input(0), &y = context.output();
  const auto starts = constant_ints(context, 1);
  const auto axes = constant_axes(context, 3, x.shape.size(), starts.size());
  const auto steps = context.has_input(4) ? constant_ints(context, 4) : std::vector<std::int64_t>(starts.size(), 1);
  if (steps.size() != starts.size()) context.fail(steps.size(), " steps for ", starts.size(), " starts");
  Dims strides = strides_of(x.shape);
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < axes.size() && count(y.shape) > 0; ++i) {
    const std::size_t axis = axes[i];
    offset += first_of(starts[i], steps[i], x.shape[axis]) * strides[axis];
    // A step past the tensor is taken at most once, so it may be cut to what cannot overflow.
    strides[axis] *= std::clamp(steps[i], -x.shape[axis], x.shape[axis]);
  }
  auto step = std::make_unique<CopyStep>(context);
  step->add(context.in(0), context.out(), offset, 0,
            StridedCopy(y.shape, strides, strides_of(y.shape), size_of(x.dtype)), requantize_table(context, x, y));
  step->finish();
  return step;
}

}  // namespace quaver
