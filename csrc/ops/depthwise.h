#pragma once

#include "ops/conv_geometry.h"

namespace quaver {

// The step of a depthwise convolution (one input and one output channel a group), or null where the weights need more
// than one s8 plane, or sums that become floats have a residual: then the general path takes it.
std::unique_ptr<Step> lower_depthwise(LowerContext& context, const ConvGeometry& geometry, bool quantized);

}  // namespace quaver
