// Layer normalization as passes over a row in scratch, written for any vector width. Internal linkage.
#pragma once

#include "kernels/bytes_x86.h"
#include "kernels/lanes.h"
#include "kernels/norm/lists.h"
#include "kernels/rounding.h"

namespace quaver::kernels {
namespace {

// x[j] = the operand's real, or x[j] + it.
template <bool kAdd>
void take(const NormOperand& from, std::size_t at, std::size_t n, float* __restrict x) {
  if (from.f32) {
    const float* a = from.f32 + at;
    for (std::size_t j = 0; j < n; ++j) x[j] = kAdd ? x[j] + a[j] : a[j];
    return;
  }
  const std::uint8_t* a = from.u8 + at;
  const std::int32_t zero = from.zero;
  const float scale = from.scale;
  for (std::size_t j = 0; j < n; ++j) {
    const float real = static_cast<float>(a[j] - zero) * scale;
    x[j] = kAdd ? x[j] + real : real;
  }
}

float squares_of(const float* d, std::size_t n) {
  const auto add = [](auto y, auto x) { return y + x * x; };
  float s[kVirtualLanes];
  fold_lanes(d, n, 0, add, add, s);
  for (int h = 8; h > 0; h /= 2) {
    for (int l = 0; l < h; ++l) s[l] = s[l] + s[l + h];
  }
  return s[0];
}

template <bool kFactor>
void put_bytes(const LayerNormArgs& args, const float* y, std::uint8_t* b) {
  const float mul = args.mul, lo = args.lo, hi = args.hi;
  const std::int32_t zero = args.zero;
  std::size_t j = 0;
  const ByteBounds out(zero, static_cast<std::int32_t>(lo) + zero, static_cast<std::int32_t>(hi) + zero);
  for (; j + kBlock <= args.n; j += kBlock) {
    Floats t[4];
#pragma GCC unroll 4
    for (std::size_t v = 0; v < 4; ++v) {
      t[v] = load_floats(y + j + v * kLanes);
      if (kFactor) t[v] = t[v] * load_floats(args.factor + j + v * kLanes);
      t[v] = t[v] * mul;
    }
    store_bytes(b + j, t, out);
  }
  for (; j < args.n; ++j) {
    const float t = kFactor ? y[j] * args.factor[j] : y[j];
    b[j] = static_cast<std::uint8_t>(round_even(clamp_to(t * mul, lo, hi)) + zero);
  }
}

// y[j] = (d[j] · unit) · gamma[j] + beta[j]; y may be d.
void scale_shift(const LayerNormArgs& args, const float* d, float unit, float* y) {
  const float* __restrict gamma = args.gamma;
  const float* __restrict beta = args.beta;
#pragma GCC ivdep
  for (std::size_t j = 0; j < args.n; ++j) y[j] = d[j] * unit * gamma[j] + beta[j];
}

void layer_norm(const LayerNormArgs& args) {
  const std::size_t n = args.n;
  const auto size = static_cast<float>(n);
  float* d = args.scratch;
  for (std::size_t i = 0; i < args.rows; ++i) {
    take<false>(args.a, i * n, n, d);
    if (args.r.f32 || args.r.u8) take<true>(args.r, i * n, n, d);
    const float mean = sum_of(d, n) / size;
    for (std::size_t j = 0; j < n; ++j) d[j] = d[j] - mean;
    const float unit = 1.0F / __builtin_sqrtf(squares_of(d, n) / size + args.epsilon);
    float* y = args.c ? args.c + i * n : d;
    scale_shift(args, d, unit, y);
    if (args.b) args.factor ? put_bytes<true>(args, y, args.b + i * n) : put_bytes<false>(args, y, args.b + i * n);
  }
}

}  // namespace
}  // namespace quaver::kernels
