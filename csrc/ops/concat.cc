#include "ops/copy.h"

namespace quaver {

std::unique_ptr<Step> lower_Concat(LowerContext& context) {
  const Value& y = context.output();
  const auto axis =
      static_cast<std::size_t>(normalize_axis(context.node.attrs.i("axis"), static_cast<std::int64_t>(y.shape.size())));
  const Dims out_strides = strides_of(y.shape);
  auto step = std::make_unique<CopyStep>(context);
  std::int64_t at = 0;
  for (std::size_t i = 0; i < context.node.inputs.size(); ++i) {
    const Value& x = context.input(i);
    step->add(context.in(i), context.out(), 0, at * out_strides[axis],
              StridedCopy(x.shape, strides_of(x.shape), out_strides, size_of(x.dtype)),
              requantize_table(context, x, y));
    at += x.shape[axis];
  }
  if (at != y.shape[axis]) context.fail("its inputs have ", at, " entries along the axis, its output ", y.shape[axis]);
  step->finish();
  return step;
}

}  // namespace quaver
