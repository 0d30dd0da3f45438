// exp, tanh, the logistic function and erf in fp32: fixed sequences of single operations, right at ±inf, NaN and where
// results leave the normal range. No branch, so that loops over them vectorize.
#pragma once

#include <cstdint>

#include "kernels/rounding.h"

namespace quaver::kernels {
namespace {

[[maybe_unused]] inline float bits_to_float(std::uint32_t bits) { return __builtin_bit_cast(float, bits); }
[[maybe_unused]] inline float absolute(float x) {
  return bits_to_float(__builtin_bit_cast(std::uint32_t, x) & 0x7FFFFFFFU);
}
// |x| with the sign of s.
[[maybe_unused]] inline float with_sign(float x, float s) {
  return bits_to_float((__builtin_bit_cast(std::uint32_t, x) & 0x7FFFFFFFU) |
                       (__builtin_bit_cast(std::uint32_t, s) & 0x80000000U));
}

// 2^n for −126 ≤ n ≤ 127.
[[maybe_unused]] inline float power_of_two(std::uint32_t n) { return bits_to_float((n + 127U) << 23); }

// x = n·ln 2 + r, |r| ≤ ln 2 / 2; e^r by the polynomial of Cephes' expf; then times 2^n in two steps, so that the
// subnormal results are reached too.
[[maybe_unused]] inline float exp_f32(float x) {
  x = clamp_through(x, -104.0F, 89.0F);  // beyond, the result is 0 or inf already
  const float shifted = x * 1.44269504F + kRound;
  const float n = shifted - kRound;
  const float r = (x - n * 0.693359375F) - n * -2.12194440e-4F;
  float p = 1.9875691500e-4F;
  p = p * r + 1.3981999507e-3F;
  p = p * r + 8.3334519073e-3F;
  p = p * r + 4.1665795894e-2F;
  p = p * r + 1.6666665459e-1F;
  p = p * r + 5.0000001201e-1F;
  const float y = p * (r * r) + r + 1.0F;
  const std::uint32_t whole = __builtin_bit_cast(std::uint32_t, shifted) - __builtin_bit_cast(std::uint32_t, kRound);
  const std::uint32_t half = static_cast<std::uint32_t>(static_cast<std::int32_t>(whole) >> 1);
  return y * power_of_two(half) * power_of_two(whole - half);
}

// By e^−|x|, which does not overflow: small results keep their digits on both sides.
[[maybe_unused]] inline float sigmoid_f32(float x) {
  const float e = exp_f32(-absolute(x));
  return (x < 0.0F ? e : 1.0F) / (1.0F + e);
}

// Cephes' tanhf: an odd polynomial near 0, 1 − 2 / (e^2|x| + 1) elsewhere.
[[maybe_unused]] inline float tanh_f32(float x) {
  const float a = absolute(x), z = x * x;
  float p = -5.70498872745e-3F;
  p = p * z + 2.06390887954e-2F;
  p = p * z + -5.37397155531e-2F;
  p = p * z + 1.33314422036e-1F;
  p = p * z + -3.33332819422e-1F;
  const float near = p * z * x + x;
  const float far = 1.0F - 2.0F / (exp_f32(a + a) + 1.0F);
  return a < 0.625F ? near : with_sign(far, x);
}

// After N. Juffa: erf by an odd polynomial near 0, and by 1 − e^p(|x|) elsewhere.
inline constexpr float kErfNear = 0.927734375F;

[[maybe_unused]] inline float erf_near(float x) {
  const float s = x * x;
  float p = -5.96761703e-4F;
  p = p * s + 4.99119423e-3F;
  p = p * s + -2.67681349e-2F;
  p = p * s + 1.12819925e-1F;
  p = p * s + -3.76125336e-1F;
  p = p * s + 1.28379166e-1F;
  return p * x + x;
}

// 1 − erf(a) for a beyond kErfNear.
[[maybe_unused]] inline float erfc_far(float a) {
  const float t = clamp_through(a, 0.0F, 4.0F);  // erf(4) rounds to 1, and the polynomial holds that far
  float f = -1.72853470e-5F * t + 3.83197126e-4F;
  const float u = -3.88396438e-3F * t + 2.42546219e-2F;
  f = f * (t * t) + u;
  f = f * t + -1.06777877e-1F;
  f = f * t + -6.34846687e-1F;
  f = f * t + -1.28717512e-1F;
  f = f * t - t;
  return exp_f32(f);
}

[[maybe_unused]] inline float erf_f32(float x) {
  const float a = absolute(x);
  return a > kErfNear ? with_sign(1.0F - erfc_far(a), x) : erf_near(x);
}

// x · Φ(x); on the negative side by erfc, so that small results keep their digits.
[[maybe_unused]] inline float gelu_f32(float x) {
  const float s = x * 0.70710678F, a = absolute(s), far = erfc_far(a);
  const float tail = a > 4.0F ? 0.0F : far;
  const float near = 1.0F + erf_near(s), beyond = s < 0.0F ? tail : 2.0F - tail;
  return 0.5F * x * (a > kErfNear ? beyond : near);
}

[[maybe_unused]] inline float gelu_tanh_f32(float x) {
  const float u = 0.79788456F * (x + 0.044715F * (x * x * x));
  return 0.5F * x * (1.0F + tanh_f32(u));
}

}  // namespace
}  // namespace quaver::kernels
