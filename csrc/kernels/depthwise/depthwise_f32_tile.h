// The fp32 depthwise convolution on vectors V (kernels/gemm/ymm.h …). Internal linkage, for kernel files.
#pragma once

#include "kernels/depthwise/variants.h"
#include "kernels/gemm/rows.h"
#include "kernels/rounding.h"

namespace quaver::kernels {
namespace {

constexpr std::size_t kMaxTapsF32 = 128;  // whose rows are looked up once per pixel

// Channels [c, c + N vectors) of a pixel with residual row `r` and output row `out`.
template <class V, int N>
inline void block(const DepthwiseF32Args& g, const float* const (&rows)[kMaxTapsF32], std::size_t c, const float* r,
                  float* out) {
  typename V::F y[N];
#pragma GCC unroll 8
  for (int v = 0; v < N; ++v) y[v] = V::load(g.bias + c + v * V::kLanes);
  const float* w = g.w + c;
  for (std::size_t t = 0; t < g.taps; ++t, w += g.channels) {
#pragma GCC unroll 8
    for (int v = 0; v < N; ++v) y[v] = V::fma(V::load(rows[t] + c + v * V::kLanes), V::load(w + v * V::kLanes), y[v]);
  }
#pragma GCC unroll 8
  for (int v = 0; v < N; ++v) {
    y[v] = V::clamp(y[v], g.pre_lo, g.pre_hi);
    if (r) y[v] = V::add(y[v], V::load(r + c + v * V::kLanes));
    V::store(out + c + v * V::kLanes, V::clamp(y[v], g.lo, g.hi));
  }
}

inline void channel(const DepthwiseF32Args& g, const float* const (&rows)[kMaxTapsF32], std::size_t c, const float* r,
                    float* out) {
  float y = g.bias[c];
  for (std::size_t t = 0; t < g.taps; ++t) y = __builtin_fmaf(rows[t][c], g.w[t * g.channels + c], y);
  y = clamp_through(y, g.pre_lo, g.pre_hi);
  if (r) y = y + r[c];
  out[c] = clamp_through(y, g.lo, g.hi);
}

template <class V>
void depthwise_f32(const DepthwiseF32Args& g) {
  if (g.taps > kMaxTapsF32) return depthwise_f32_scalar.run(g);
  constexpr std::size_t kWide = 4 * V::kLanes;
  const float* rows[kMaxTapsF32];
  for (std::size_t i = 0; i < g.pixels; ++i) {
    for (std::size_t t = 0; t < g.taps; ++t) rows[t] = tap_of<float>(g, i, t);
    const float* r = nullptr;
    if (g.r) r = reinterpret_cast<const float*>(reinterpret_cast<const char*>(g.r) + i * g.r_stride);
    float* out = reinterpret_cast<float*>(reinterpret_cast<char*>(g.c) + i * g.c_stride);
    std::size_t c = 0;
    for (; g.channels - c >= kWide; c += kWide) block<V, 4>(g, rows, c, r, out);
    for (; g.channels - c >= V::kLanes; c += V::kLanes) block<V, 1>(g, rows, c, r, out);
    for (; c < g.channels; ++c) channel(g, rows, c, r, out);
  }
}

}  // namespace
}  // namespace quaver::kernels
