#include "ops/copy.h"

namespace quaver {

std::unique_ptr<Step> lower_Split(LowerContext& context) {
  const Value& x = context.input(0);
  const auto axis = static_cast<std::size_t>(
      normalize_axis(context.node.attrs.i("axis", 0), static_cast<std::int64_t>(x.shape.size())));
  const Dims in_strides = strides_of(x.shape);
  auto step = std::make_unique<CopyStep>(context);
  std::int64_t at = 0;
  for (std::size_t i = 0; i < context.node.outputs.size(); ++i) {
    if (context.out(i) == kNone) context.fail("its output ", i, " has no name; name it, used or not");
    const Value& y = context.output(i);
    step->add(context.in(0), context.out(i), at * in_strides[axis], 0,
              StridedCopy(y.shape, in_strides, strides_of(y.shape), size_of(x.dtype)), requantize_table(context, x, y));
    at += y.shape[axis];
  }
  if (at != x.shape[axis]) context.fail("its outputs have ", at, " entries along the axis, its input ", x.shape[axis]);
  step->finish();
  return step;
}

}  // namespace quaver
