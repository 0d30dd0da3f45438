// The fp32 depthwise convolution on vectors V (kernels/gemm/ymm.h …). Internal linkage, for kernel files.
#pragma once

#include "kernels/depthwise/variants.h"
#include "kernels/gemm/rows.h"
#include "kernels/rounding.h"

namespace quaver::kernels {
namespace {

constexpr std::size_t kMaxTapsF32 = 128;  // whose rows are looked up once per pixel

// What P neighbours read and write.
template <int P>
struct PixelsF32 {
  const float* taps[kMaxTapsF32][P];
  const float* r[P];
  float* out[P];
};

// Channels [c, c + N vectors) of P pixels, which share the reading of the weights.
template <class V, int P, int N>
inline void block(const DepthwiseF32Args& g, const PixelsF32<P>& pixels, std::size_t c) {
  typename V::F y[P][N];
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 8
    for (int v = 0; v < N; ++v) y[p][v] = V::load(g.bias + c + v * V::kLanes);
  }
  const float* w = g.w + c;
  for (std::size_t t = 0; t < g.taps; ++t, w += g.channels) {
    typename V::F factor[N];
#pragma GCC unroll 8
    for (int v = 0; v < N; ++v) factor[v] = V::load(w + v * V::kLanes);
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) {
      const float* tap = pixels.taps[t][p] + c;
#pragma GCC unroll 8
      for (int v = 0; v < N; ++v) y[p][v] = V::fma(V::load(tap + v * V::kLanes), factor[v], y[p][v]);
    }
  }
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) {
#pragma GCC unroll 8
    for (int v = 0; v < N; ++v) {
      const std::size_t at = c + v * V::kLanes;
      y[p][v] = V::clamp(y[p][v], g.pre_lo, g.pre_hi);
      if (g.r) y[p][v] = V::add(y[p][v], V::load(pixels.r[p] + at));
      V::store(pixels.out[p] + at, V::clamp(y[p][v], g.lo, g.hi));
    }
  }
}

template <int P>
inline void channel(const DepthwiseF32Args& g, const PixelsF32<P>& pixels, std::size_t c) {
  for (int p = 0; p < P; ++p) {
    float y = g.bias[c];
    for (std::size_t t = 0; t < g.taps; ++t) y = __builtin_fmaf(pixels.taps[t][p][c], g.w[t * g.channels + c], y);
    y = clamp_through(y, g.pre_lo, g.pre_hi);
    if (g.r) y = y + pixels.r[p][c];
    pixels.out[p][c] = clamp_through(y, g.lo, g.hi);
  }
}

// Pixels [i, i + P).
template <class V, int P>
[[gnu::noinline]] void neighbours(const DepthwiseF32Args& g, std::size_t i) {
  PixelsF32<P> pixels;
  for (int p = 0; p < P; ++p) {
    for (std::size_t t = 0; t < g.taps; ++t) pixels.taps[t][p] = tap_of<float>(g, i + p, t);
    pixels.r[p] = reinterpret_cast<const float*>(reinterpret_cast<const char*>(g.r) + (g.r ? (i + p) * g.r_stride : 0));
    pixels.out[p] = reinterpret_cast<float*>(reinterpret_cast<char*>(g.c) + (i + p) * g.c_stride);
  }
  constexpr std::size_t kWide = 2 * V::kLanes;
  std::size_t c = 0;
  for (; g.channels - c >= kWide; c += kWide) block<V, P, 2>(g, pixels, c);
  for (; g.channels - c >= V::kLanes; c += V::kLanes) block<V, P, 1>(g, pixels, c);
  for (; c < g.channels; ++c) channel(g, pixels, c);
}

template <class V>
void depthwise_f32(const DepthwiseF32Args& g) {
  if (g.taps > kMaxTapsF32) return depthwise_f32_scalar.run(g);
  std::size_t i = 0;
  for (; i + 4 <= g.pixels; i += 4) neighbours<V, 4>(g, i);
  for (; i < g.pixels; ++i) neighbours<V, 1>(g, i);
}

}  // namespace
}  // namespace quaver::kernels
