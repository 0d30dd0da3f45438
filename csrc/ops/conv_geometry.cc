#include "ops/conv_geometry.h"

#include "graph/deconv_window.h"
#include "kernels/gemm/gemm_u8.h"

namespace quaver {

bool ConvGeometry::pointwise() const {
  const auto all_are = [](const std::int64_t* values, int n, std::int64_t what) {
    for (int i = 0; i < n; ++i) {
      if (values[i] != what) return false;
    }
    return true;
  };
  return taps() == 1 && all_are(window.strides, 2, 1) && all_are(window.pads, 4, 0);
}

std::int32_t ConvGeometry::offset(std::int64_t y, std::int64_t x) const {
  if (y < 0 || x < 0 || y >= std::int64_t(h) || x >= std::int64_t(w)) return kernels::kPad;
  return static_cast<std::int32_t>((y * w + x) * c * element);
}

ConvGeometry conv_geometry(const LowerContext& context, bool transposed) {
  const Value& x = context.input(0);
  const Value& weight = context.input(1);
  const Value& y = context.output();
  if (x.shape.size() != 4 || weight.shape.size() != 4) {
    context.fail("expected [N, H, W, C] and [O, KH, KW, C / group], got ", to_string(x.shape), " and ",
                 to_string(weight.shape));
  }
  if (count(weight.shape) == 0) context.fail("the weight ", to_string(weight.shape), " is empty");
  ConvGeometry g;
  g.images = x.shape[0], g.h = x.shape[1], g.w = x.shape[2], g.c = x.shape[3];
  g.o = weight.shape[0], g.kh = weight.shape[1], g.kw = weight.shape[2];
  g.oh = y.shape[1], g.ow = y.shape[2];
  g.group = static_cast<std::size_t>(context.node.attrs.i("group", 1));
  g.element = size_of(x.dtype);
  if (g.group == 0 || g.c % g.group || g.o % g.group || weight.shape[3] * g.group != g.c) {
    context.fail("the weight ", to_string(weight.shape), " does not fit the input ", to_string(x.shape), " in ",
                 g.group, " groups");
  }
  if (g.h * g.w * g.c * g.element > std::size_t{INT32_MAX}) context.fail("one image passes 2 GiB");
  const Attrs& attrs = context.node.attrs;
  g.window = transposed ? resolve_deconv_window(attrs, g.h, g.w, g.kh, g.kw).window
                        : resolve_window(attrs, g.h, g.w, g.kh, g.kw);
  return g;
}

std::vector<std::int32_t> conv_offsets(const ConvGeometry& g, std::size_t planes) {
  std::vector<std::int32_t> offsets;
  offsets.reserve(g.pixels() * g.taps() * planes);
  for (std::size_t pixel = 0; pixel < g.pixels(); ++pixel) {
    const std::int64_t top = std::int64_t(pixel / g.ow) * g.window.strides[0] - g.window.pads[0];
    const std::int64_t left = std::int64_t(pixel % g.ow) * g.window.strides[1] - g.window.pads[1];
    for (std::size_t tap = 0; tap < g.taps() * planes; ++tap) {
      const std::int64_t ky = tap % g.taps() / g.kw, kx = tap % g.kw;
      offsets.push_back(g.offset(top + ky * g.window.dilations[0], left + kx * g.window.dilations[1]));
    }
  }
  return offsets;
}

}  // namespace quaver
