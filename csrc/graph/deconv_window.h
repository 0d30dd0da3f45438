// The window of a transposed convolution: Conv's window seen from its output.
#pragma once

#include "graph/window.h"

namespace quaver {

struct DeconvWindow {
  Window window;        // pads: what is cut from the full result, top, left, bottom, right
  std::int64_t out[2];  // height, width; kDynamic where the input's is
};

// From strides, pads, dilations, auto_pad, output_padding and output_shape, as ONNX's ConvTranspose derives them, for
// an input of height h and width w. Where output_shape asks for more than the full result, the rest is bias alone.
// Throws Error(invalid_model).
DeconvWindow resolve_deconv_window(const Attrs& attrs, std::int64_t h, std::int64_t w, std::int64_t kh,
                                   std::int64_t kw);

}  // namespace quaver
