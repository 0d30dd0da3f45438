// A convolution whose rows are brought onto a grid: each unit copies the pixels that its windows meet, padding written
// out, so that a tap's rows lie a pixel apart and a kernel of large tiles reads them in place. Where windows are more
// than a pixel apart, each phase of the image makes a plane of its own; but where pixels have few channels, a window's
// row is one tap, and rows lie a window's step apart.
#pragma once

#include <memory>

#include "ops/conv_geometry.h"
#include "ops/gemm_step.h"

namespace quaver {

// Null where the kernel picked for it would not gain. `whole_rows`: of windows; their pixels lie side by side.
std::unique_ptr<Step> lower_conv_grid(LowerContext& context, const ConvGeometry& geometry, GemmStep<U8Gemm>& made,
                                      const std::vector<const std::int8_t*>& planes, bool whole_rows);
// The same in bf16, rounded by the way; `geometry` counts in it.
std::unique_ptr<Step> lower_conv_grid(LowerContext& context, const ConvGeometry& geometry, GemmStep<Bf16Gemm>& made,
                                      const std::vector<const float*>& planes);

}  // namespace quaver
