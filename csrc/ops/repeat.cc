// Expand and Tile: copies in which an input's dimensions stand still.
#include "ops/copy.h"
#include "ops/walk.h"

namespace quaver {
namespace {

std::unique_ptr<Step> lower_copy(LowerContext& context, const Dims& dims, const Dims& strides) {
  const Value &x = context.input(0), &y = context.output();
  auto step = std::make_unique<CopyStep>(context);
  step->add(context.in(0), context.out(), 0, 0, StridedCopy(dims, strides, strides_of(dims), size_of(x.dtype)),
            requantize_table(context, x, y));
  step->finish();
  return step;
}

}  // namespace

std::unique_ptr<Step> lower_Expand(LowerContext& context) {
  const Dims& to = context.output().shape;
  return lower_copy(context, to, broadcast_strides(context.input(0).shape, to));
}

std::unique_ptr<Step> lower_Tile(LowerContext& context) {
  const Dims &x = context.input(0).shape, &y = context.output().shape;
  const Dims dense = strides_of(x);
  Dims dims, strides;  // each dimension is the repeats of it, then itself
  for (std::size_t i = 0; i < x.size(); ++i) {
    dims.insert(dims.end(), {x[i] ? y[i] / x[i] : 0, x[i]});
    strides.insert(strides.end(), {0, dense[i]});
  }
  return lower_copy(context, dims, strides);
}

}  // namespace quaver
