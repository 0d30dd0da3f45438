// The u8 depthwise convolution for any instruction set that a trait T describes. Internal linkage, for kernel files.
//
//   T::V                        vectors (kernels/gemm/ymm.h …)
//   T::kPixels                  pixels at once, which share the reading of the weights
//   T::weights(w)               the weights of 16 channels and 4 taps: 64 bytes
//   T::dot(acc, taps, weights)  acc += the products of 16 channels of 4 taps, exact
//   T::last(acc, tap, weights)  the same for a group of one tap, which every odd square ends with
#pragma once

#include "kernels/depthwise/variants.h"
#include "kernels/gemm/requantize.h"
#include "kernels/gemm/rows.h"

namespace quaver::kernels {
namespace {

constexpr std::size_t kBlock = 16;     // channels
constexpr std::size_t kMaxTaps = 128;  // whose rows are looked up once per pixel

template <class V>
constexpr int kVectors = kBlock / V::kLanes;

template <class V>
inline void write(const DepthwiseU8Args& g, const typename V::I (&acc)[kVectors<V>], std::size_t c,
                  const std::uint8_t* r, std::uint8_t* out) {
#pragma GCC unroll 4
  for (int v = 0; v < kVectors<V>; ++v) {
    const std::size_t at = v * V::kLanes;
    const typename V::I sum = V::add(acc[v], V::load(g.bias + c + at));
    requantize_to<V>(g, sum, g.scale + c + at, r ? r + at : nullptr, out + at);
  }
}

// Channels [c, c + size) of pixel i, size ≤ 16.
template <class V>
inline void finish(const DepthwiseU8Args& g, const typename V::I (&acc)[kVectors<V>], std::size_t i, std::size_t c,
                   std::size_t size) {
  const std::uint8_t* r = g.r ? g.r + i * g.r_stride + c : nullptr;
  std::uint8_t* out = g.c + i * g.c_stride + c;
  if (size == kBlock) return write<V>(g, acc, c, r, out);
  std::uint8_t residual[kBlock] = {}, result[kBlock];
  if (r) __builtin_memcpy(residual, r, size);
  write<V>(g, acc, c, r ? residual : nullptr, result);
  __builtin_memcpy(out, result, size);
}

template <bool kTail>
inline Bytes16 channels(const std::uint8_t* row, std::size_t size) {
  return kTail ? read_below_16(row, size) : read<Bytes16>(row);
}

// `rows`: a pixel's taps, then any row up to a multiple of 4 (their weights are zero). kOne: the last group has one
// tap.
template <class T, int P, bool kOne, bool kTail>
inline void block(const DepthwiseU8Args& g, const std::uint8_t* const (&rows)[P][kMaxTaps], std::size_t i,
                  std::size_t c, std::size_t size) {
  using V = typename T::V;
  const std::size_t group = ceil_div(g.channels, kDepthwisePad) * kDepthwisePad * 4;
  const std::size_t taps = kOne ? g.taps - 1 : g.taps;
  const std::int8_t* w = g.w + c * 4;
  typename V::I acc[P][kVectors<V>] = {};
  for (std::size_t t = 0; t < taps; t += 4, w += group) {
    const auto weights = T::weights(w);
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) {
      Bytes16 four[4];
#pragma GCC unroll 4
      for (int u = 0; u < 4; ++u) four[u] = channels<kTail>(rows[p][t + u] + c, size);
      T::dot(acc[p], four, weights);
    }
  }
#pragma GCC unroll 4
  for (int p = 0; p < P; ++p) {
    if (kOne) T::last(acc[p], channels<kTail>(rows[p][taps] + c, size), T::weights(w));
    finish<V>(g, acc[p], i + p, c, size);
  }
}

template <class T, int P, bool kOne>
[[gnu::noinline]] void pixels(const DepthwiseU8Args& g, std::size_t i) {
  const std::uint8_t* rows[P][kMaxTaps];
  for (int p = 0; p < P; ++p) {
    for (std::size_t t = 0; t < ceil_div(g.taps, 4) * 4; ++t) {
      rows[p][t] = tap_of<std::uint8_t>(g, i + p, least(t, g.taps - 1));
    }
  }
  std::size_t c = 0;
  for (; g.channels - c >= kBlock; c += kBlock) block<T, P, kOne, false>(g, rows, i, c, kBlock);
  if (c < g.channels) block<T, P, kOne, true>(g, rows, i, c, g.channels - c);
}

template <class T, bool kOne>
void all_pixels(const DepthwiseU8Args& g) {
  std::size_t i = 0;
  for (; i + T::kPixels <= g.pixels; i += T::kPixels) pixels<T, T::kPixels, kOne>(g, i);
  for (; i < g.pixels; ++i) pixels<T, 1, kOne>(g, i);
}

template <class T>
void depthwise_u8(const DepthwiseU8Args& g) {
  if (g.taps > kMaxTaps) return depthwise_u8_scalar.run(g);
  return g.taps % 4 == 1 ? all_pixels<T, true>(g) : all_pixels<T, false>(g);
}

}  // namespace
}  // namespace quaver::kernels
