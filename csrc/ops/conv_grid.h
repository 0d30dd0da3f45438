// A convolution whose rows are brought onto a grid: each unit copies the pixels that its windows meet, padding written
// out, so that a tap's rows lie a pixel apart and a kernel of large tiles reads them in place. Where windows are more
// than a pixel apart, each phase of the image makes a plane of its own.
#pragma once

#include <memory>

#include "ops/conv_geometry.h"
#include "ops/gemm_step.h"

namespace quaver {

// Null where the step's kernel would not gain by it.
std::unique_ptr<Step> lower_conv_grid(LowerContext& context, const ConvGeometry& geometry, GemmStep<U8Gemm>& made,
                                      const std::vector<const std::int8_t*>& planes);

}  // namespace quaver
