// Clamping and rounding as the contracts of the kernels spell them, in forms that compilers vectorize.
#pragma once

#include <cstdint>

namespace quaver::kernels {
namespace {

// min(max(x, lo), hi); NaN passes through.
[[maybe_unused]] inline float clamp_through(float x, float lo, float hi) {
  x = lo > x ? lo : x;
  return hi < x ? hi : x;
}

// min(max(x, lo), hi); NaN becomes lo.
[[maybe_unused]] inline float clamp_to(float x, float lo, float hi) {
  x = x > lo ? x : lo;
  return x < hi ? x : hi;
}

// 1.5 · 2^23: adding it leaves the nearest even integer of |x| ≤ 2^22 in the low bits of the mantissa.
inline constexpr float kRound = 12582912.0F;

[[maybe_unused]] inline std::int32_t round_even(float x) {
  return static_cast<std::int32_t>(__builtin_bit_cast(std::uint32_t, x + kRound) -
                                   __builtin_bit_cast(std::uint32_t, kRound));
}

// rne(min(max(t, lo − zero), hi − zero)) + zero, as a byte.
struct ToByte {
  ToByte(std::int32_t zero, std::int32_t lo, std::int32_t hi)
      : zero(zero), lo(static_cast<float>(lo - zero)), hi(static_cast<float>(hi - zero)) {}
  std::uint8_t operator()(float t) const { return static_cast<std::uint8_t>(round_even(clamp_to(t, lo, hi)) + zero); }
  std::int32_t zero;
  float lo, hi;
};

}  // namespace
}  // namespace quaver::kernels
