// Interpolation, vectorized by the compiler along a pixel's channels.
#pragma once

#include "kernels/resize/lists.h"
#include "kernels/rounding.h"

namespace quaver::kernels {
namespace {

inline float difference(std::uint8_t x, std::int32_t zero) { return static_cast<float>(x - zero); }
inline float difference(float x, std::int32_t) { return x; }

// The kTaps × kTaps pixels around an output pixel, and their weights.
template <class T, int kTaps>
struct Taps {
  Taps(const ResizeArgs& args, std::size_t i) : zero(args.a_zero) {
    for (int r = 0; r < kTaps; ++r) {
      wy[r] = args.wy[r];
      wx[r] = args.wx[i * kTaps + r];
      const auto* row = static_cast<const unsigned char*>(args.rows[r]);
      for (int t = 0; t < kTaps; ++t) pixel[r][t] = reinterpret_cast<const T*>(row + args.columns[i * kTaps + t]);
    }
  }

  float operator()(std::size_t j) const {
    float y = row(0, j) * wy[0];
#pragma GCC unroll 4
    for (int r = 1; r < kTaps; ++r) y = y + row(r, j) * wy[r];
    return y;
  }

  float row(int r, std::size_t j) const {
    float h = difference(pixel[r][0][j], zero) * wx[0];
#pragma GCC unroll 4
    for (int t = 1; t < kTaps; ++t) h = h + difference(pixel[r][t][j], zero) * wx[t];
    return h;
  }

  const T* pixel[kTaps][kTaps];
  float wx[kTaps], wy[kTaps];
  std::int32_t zero;
};

template <int kTaps>
void interpolate_u8(const ResizeArgs& args) {
  const std::size_t channels = args.channels;
  for (std::size_t i = 0; i < args.width; ++i) {
    const Taps<std::uint8_t, kTaps> at(args, i);
    auto* c = static_cast<std::uint8_t*>(args.c) + i * channels;
    const std::int32_t zero = args.zero;
    const float mul = args.mul, lo = args.lo, hi = args.hi;
#pragma GCC ivdep
    for (std::size_t j = 0; j < channels; ++j) {
      c[j] = static_cast<std::uint8_t>(round_even(clamp_to(at(j) * mul, lo, hi)) + zero);
    }
  }
}

template <int kTaps>
void interpolate_f32(const ResizeArgs& args) {
  const std::size_t channels = args.channels;
  for (std::size_t i = 0; i < args.width; ++i) {
    const Taps<float, kTaps> at(args, i);
    auto* c = static_cast<float*>(args.c) + i * channels;
#pragma GCC ivdep
    for (std::size_t j = 0; j < channels; ++j) c[j] = at(j);
  }
}

void resize_u8(const ResizeArgs& args) { args.taps == 2 ? interpolate_u8<2>(args) : interpolate_u8<4>(args); }
void resize_f32(const ResizeArgs& args) { args.taps == 2 ? interpolate_f32<2>(args) : interpolate_f32<4>(args); }

}  // namespace
}  // namespace quaver::kernels

#define QUAVER_RESIZE_KERNELS(isa)                                  \
  {                                                                 \
      {"resize_u8_" #isa, Isa::isa, ResizeKind::u8, &resize_u8},    \
      {"resize_f32_" #isa, Isa::isa, ResizeKind::f32, &resize_f32}, \
  }
