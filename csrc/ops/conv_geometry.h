// The shape of one convolution, and the tables of offsets that its kernels walk.
#pragma once

#include <vector>

#include "graph/window.h"
#include "ops/op.h"

namespace quaver {

struct ConvGeometry {
  std::size_t images, h, w, c;  // input [images, h, w, c]
  std::size_t oh, ow, o;        // output [images, oh, ow, o]
  std::size_t kh, kw, group;
  Window window;
  std::size_t element;  // bytes of an input element

  std::size_t taps() const { return kh * kw; }
  std::size_t depth() const { return c / group; }  // input channels of a group
  std::size_t width() const { return o / group; }  // output channels of a group
  std::size_t pixels() const { return oh * ow; }
  bool pointwise() const;  // a plain product over pixels
  bool depthwise() const { return depth() == 1 && width() == 1 && group > 1; }
  // Byte offset of input pixel (y, x) from its image, or kernels::kPad outside.
  std::int32_t offset(std::int64_t y, std::int64_t x) const;
};

// The same convolution of an input in bf16.
inline ConvGeometry in_bf16(ConvGeometry geometry) {
  geometry.element = sizeof(std::uint16_t);
  return geometry;
}

// Of a Conv, ConvInteger (`transposed` false) or ConvTranspose node: x [N,H,W,C], w [O,KH,KW,C/group].
ConvGeometry conv_geometry(const LowerContext& context, bool transposed);

// [oh · ow][planes · taps] byte offsets: the kernel's taps in row-major order, all of them `planes` times.
std::vector<std::int32_t> conv_offsets(const ConvGeometry& geometry, std::size_t planes);

}  // namespace quaver
