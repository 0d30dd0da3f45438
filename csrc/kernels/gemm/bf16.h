// The arithmetic of bf16 products one number at a time (gemm_bf16.h). Internal linkage.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quaver::kernels {
namespace {

inline constexpr float kLeastNormal = 0x1p-126F;

// Zero of the same sign for a denormal.
[[maybe_unused]] inline float flushed(float x) {
  return __builtin_fabsf(x) < kLeastNormal ? __builtin_copysignf(0.0F, x) : x;
}

[[maybe_unused]] inline std::uint16_t round_bf16(float x) {
  const auto bits = __builtin_bit_cast(std::uint32_t, x);
  if (x != x) return static_cast<std::uint16_t>(bits >> 16 | 0x40);
  if (__builtin_fabsf(x) < kLeastNormal) return static_cast<std::uint16_t>(bits >> 16 & 0x8000);
  return static_cast<std::uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

[[maybe_unused]] inline float from_bf16(std::uint16_t x) {
  return flushed(__builtin_bit_cast(float, static_cast<std::uint32_t>(x) << 16));
}

// flushed(a · w + y), rounded before it is flushed and as though exponents had no end: what rounds to the least normal
// number only for want of digits below it is a zero. a and w are bf16, y is no denormal.
[[maybe_unused]] inline float fma_flushed(float a, float w, float y) {
  const float sum = __builtin_fmaf(a, w, y);
  if (__builtin_fabsf(sum) != kLeastNormal) return flushed(sum);
  constexpr float kUp = 0x1p64F;  // a is small here, or the sum could not be
  const bool less = __builtin_fabsf(__builtin_fmaf(a * kUp, w, y * kUp)) < kLeastNormal * kUp;
  return less ? __builtin_copysignf(0.0F, sum) : sum;
}

}  // namespace
}  // namespace quaver::kernels
