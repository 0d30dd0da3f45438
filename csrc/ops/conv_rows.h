// Convolutions of few channels (a network's first): a window's row, kw pixels of c bytes, is read as one run.
//
// Kernels take k in fours, so that 3 channels tap by tap waste a quarter of all products and spend more on finding the
// taps than on multiplying them. A row's kw · c bytes lie side by side wherever the window is inside the image. At the
// left and right border the run is moved inside, and the weights against it: what falls off the window multiplied the
// zero point, a constant that goes into the bias. Each such border column has its own weights, and nothing is copied.
#pragma once

#include <memory>

#include "ops/conv_geometry.h"

namespace quaver {

// A quantized convolution's step, or null where this way does not serve it.
std::unique_ptr<Step> lower_conv_rows(LowerContext& context, const ConvGeometry& geometry);

}  // namespace quaver
