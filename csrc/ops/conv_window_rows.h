// A network's first convolution in bf16, whose pixels have few channels: taps of single pixels would fill pairs badly.
// The rows of input that a row of output sees are rounded into a strip with the padding around them, where a window's
// row lies as one run.
#pragma once

#include <memory>

#include "ops/conv_geometry.h"

namespace quaver {

// `geometry` counts in bf16. Null where the convolution is of another kind.
std::unique_ptr<Step> lower_conv_window_rows(LowerContext& context, const ConvGeometry& geometry);

}  // namespace quaver
