// The definition of both depthwise convolutions. Never optimised: every other kernel is tested against it to the bit.
#include "kernels/depthwise/variants.h"
#include "kernels/gemm/rows.h"
#include "kernels/rounding.h"

namespace quaver::kernels {
namespace {

std::int32_t accumulate(const DepthwiseU8Args& g, std::size_t o, std::size_t i, std::size_t c) {
  const std::size_t padded = ceil_div(g.channels, kDepthwisePad) * kDepthwisePad, groups = ceil_div(g.rows, 4);
  const std::int8_t* w = g.w + o * g.columns * groups * padded * 4;
  std::uint32_t acc = g.bias[c];  // unsigned, because the sum wraps
  for (std::size_t x = 0; x < g.columns; ++x) {
    for (std::size_t y = 0; y < g.rows; ++y) {
      const std::int32_t offset = g.offsets[(i * g.step + x * g.dilation) * g.rows + y];
      const std::uint8_t* tap = offset == kPad ? g.pad : g.a + offset;
      acc += tap[c] * w[((x * groups + y / 4) * padded + c) * 4 + y % 4];
    }
  }
  return static_cast<std::int32_t>(acc);
}

void run_u8(const DepthwiseU8Args& g) {
  for (std::size_t o = 0; o < g.outputs; ++o) {
    for (std::size_t i = 0; i < g.pixels; ++i) {
      for (std::size_t c = 0; c < g.channels; ++c) {
        float y = static_cast<float>(accumulate(g, o, i, c)) * g.scale[c];
        y = clamp_through(y, g.pre_lo, g.pre_hi);
        if (g.r) {
          const float step = static_cast<float>(g.r[o * g.c_apart + i * g.r_stride + c] - g.r_zero) * g.r_scale;
          y = y + step;
        }
        y = clamp_through(y, g.lo, g.hi);
        std::byte* const pixel = static_cast<std::byte*>(g.c) + o * g.c_apart + i * g.c_stride;
        if (g.output == Output::f32) {
          reinterpret_cast<float*>(pixel)[c] = y;
        } else {
          pixel[c] = static_cast<std::byte>(__builtin_lrintf(y) + g.zero);
        }
      }
    }
  }
}

template <class T>
T* row(T* base, std::size_t stride, std::size_t i) {
  return reinterpret_cast<T*>(reinterpret_cast<std::uintptr_t>(base) + i * stride);
}

void run_f32(const DepthwiseF32Args& g) {
  for (std::size_t i = 0; i < g.pixels; ++i) {
    for (std::size_t c = 0; c < g.channels; ++c) {
      float y = g.bias[c];
      for (std::size_t t = 0; t < g.taps; ++t)
        y = __builtin_fmaf(tap_of<float>(g, i, t)[c], g.w[t * g.channels + c], y);
      y = clamp_through(y, g.pre_lo, g.pre_hi);
      if (g.r) y = y + row(g.r, g.r_stride, i)[c];
      row(g.c, g.c_stride, i)[c] = clamp_through(y, g.lo, g.hi);
    }
  }
}

}  // namespace

const DepthwiseU8Kernel depthwise_u8_scalar = {"depthwise_u8_scalar", Isa::scalar, false, 1, run_u8};
const DepthwiseF32Kernel depthwise_f32_scalar = {"depthwise_f32_scalar", Isa::scalar, run_f32};

}  // namespace quaver::kernels
