// exp, tanh, the logistic function and erf in fp32: fixed sequences of single operations and fused multiply-adds, right
// at ±inf, NaN and where results leave the normal range. No branch, so that loops over them vectorize.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/exp_terms.h"
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

[[maybe_unused]] inline float fused(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

// c[0] xⁿ + c[1] xⁿ⁻¹ + … + c[n], by Horner's rule.
template <std::size_t kCount>
inline float polynomial(const float (&c)[kCount], float x) {
  float y = c[0];
#pragma GCC unroll 16
  for (std::size_t i = 1; i < kCount; ++i) y = fused(y, x, c[i]);
  return y;
}

// 2^n for −126 ≤ n ≤ 127.
[[maybe_unused]] inline float power_of_two(std::uint32_t n) { return bits_to_float((n + 127U) << 23); }

// x = n·ln 2 + r, |r| ≤ ln 2 / 2; e^r by the polynomial of Cephes' expf; then times 2^n in two steps, so that the
// subnormal results are reached too.
[[maybe_unused]] inline float exp_f32(float x) {
  x = clamp_through(x, -104.0F, 89.0F);  // beyond, the result is 0 or inf already
  const float shifted = fused(x, kLog2E, kRound);
  const float n = shifted - kRound;
  const float r = fused(n, -kLn2Low, fused(n, -kLn2High, x));
  const float y = polynomial(kExpCoefficients, r);
  const std::uint32_t whole = __builtin_bit_cast(std::uint32_t, shifted) - __builtin_bit_cast(std::uint32_t, kRound);
  const std::uint32_t half = static_cast<std::uint32_t>(static_cast<std::int32_t>(whole) >> 1);
  return y * power_of_two(half) * power_of_two(whole - half);
}

// 1 / d for 1 ≤ d ≤ 2 without a division, which few lanes at a time can do: the polynomial of the second degree whose
// relative error, a 99th, is least (by Chebyshev's of the third), and two steps of Newton's method, each of which
// squares that.
[[maybe_unused]] inline float reciprocal_to_2(float d) {
  float y = fused(fused(d, 32.0F / 99.0F, -144.0F / 99.0F), d, 210.0F / 99.0F);
#pragma GCC unroll 2
  for (int step = 0; step < 2; ++step) y = fused(fused(-d, y, 1.0F), y, y);
  return y;
}

// e^−|x| = 2^n · 2^r; subnormal results are 0.
[[maybe_unused]] inline float exp_minus_abs(float x) {
  constexpr float kLog2ELow = 1.925963033e-8F, kLeast = 87.0F;
  constexpr float kTwo[] = {
      1.53533620e-4F, 1.33988750e-3F, 9.61843692e-3F, 5.55033237e-2F, 2.40226476e-1F, 6.93147182e-1F, 1.0F};
  const float a = absolute(x), shifted = fused(a, -kLog2E, kRound), n = shifted - kRound;
  const float r = fused(a, -kLog2ELow, fused(a, -kLog2E, -n));
  const std::uint32_t whole = __builtin_bit_cast(std::uint32_t, shifted) - __builtin_bit_cast(std::uint32_t, kRound);
  const float power = polynomial(kTwo, r) * power_of_two(whole);
  return a > kLeast ? 0.0F : power;
}

// The logistic function by e = e^−|x|, which does not overflow: small results keep their digits on both sides.
[[maybe_unused]] inline float sigmoid_by(float x, float e) { return (x < 0.0F ? e : 1.0F) * reciprocal_to_2(1.0F + e); }

// Cephes' tanhf: an odd polynomial near 0, 1 − 2 / (e^2|x| + 1) elsewhere.
[[maybe_unused]] inline float tanh_f32(float x) {
  const float a = absolute(x), z = x * x;
  constexpr float kNear[] = {-5.70498872745e-3F, 2.06390887954e-2F, -5.37397155531e-2F, 1.33314422036e-1F,
                             -3.33332819422e-1F};
  const float near = fused(polynomial(kNear, z) * z, x, x);
  const float far = 1.0F - 2.0F / (exp_f32(a + a) + 1.0F);
  return a < 0.625F ? near : with_sign(far, x);
}

// After N. Juffa: erf by an odd polynomial near 0, and by 1 − e^p(|x|) elsewhere.
inline constexpr float kErfNear = 0.927734375F;

[[maybe_unused]] inline float erf_near(float x) {
  constexpr float kNear[] = {-5.96761703e-4F, 4.99119423e-3F,  -2.67681349e-2F,
                             1.12819925e-1F,  -3.76125336e-1F, 1.28379166e-1F};
  return fused(polynomial(kNear, x * x), x, x);
}

// 1 − erf(a) for a beyond kErfNear.
[[maybe_unused]] inline float erfc_far(float a) {
  constexpr float kFar[] = {-1.06777877e-1F, -6.34846687e-1F, -1.28717512e-1F};
  const float t = clamp_through(a, 0.0F, 4.0F);  // erf(4) rounds to 1, and the polynomial holds that far
  float f = fused(-1.72853470e-5F, t, 3.83197126e-4F);
  f = fused(f, t * t, fused(-3.88396438e-3F, t, 2.42546219e-2F));
#pragma GCC unroll 3
  for (const float c : kFar) f = fused(f, t, c);
  return exp_f32(fused(f, t, -t));
}

[[maybe_unused]] inline float erf_f32(float x) {
  const float a = absolute(x), near = erf_near(x), far = with_sign(1.0F - erfc_far(a), x);
  return a > kErfNear ? far : near;
}

// e^x − 1 for x ≤ 0: of 2^n (1 + e), e = e^r − 1 keeps its digits.
[[maybe_unused]] inline float expm1_below(float x) {
  constexpr float kTail[] = {kExpCoefficients[0], kExpCoefficients[1], kExpCoefficients[2],
                             kExpCoefficients[3], kExpCoefficients[4], kExpCoefficients[5]};
  x = clamp_through(x, -40.0F, 0.0F);  // beyond, the result is −1 already
  const float shifted = fused(x, kLog2E, kRound), n = shifted - kRound;
  const float r = fused(n, -kLn2Low, fused(n, -kLn2High, x));
  const float e = fused(polynomial(kTail, r), r * r, r);
  const float power =
      power_of_two(__builtin_bit_cast(std::uint32_t, shifted) - __builtin_bit_cast(std::uint32_t, kRound));
  return fused(power, e, power - 1.0F);
}

// Cephes' logf: x = 2^n (1 + f) with 1 + f from √½ to √2.
[[maybe_unused]] inline float log_f32(float x) {
  constexpr float kLog[] = {7.0376836292e-2F,  -1.1514610310e-1F, 1.1676998740e-1F,
                            -1.2420140846e-1F, 1.4249322787e-1F,  -1.6668057665e-1F,
                            2.0000714765e-1F,  -2.4999993993e-1F, 3.3333331174e-1F};
  const bool small = x < 1.17549435e-38F;
  const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, small ? x * 8388608.0F : x);
  const std::uint32_t above = bits - 0x3F3504F3U;  // √½
  const float n = static_cast<float>((static_cast<std::int32_t>(above) >> 23) - (small ? 23 : 0));
  const float f = bits_to_float((above & 0x007FFFFFU) + 0x3F3504F3U) - 1.0F, z = f * f;
  const float tail = fused(n, kLn2Low, fused(polynomial(kLog, f), f * z, -0.5F * z));
  const float y = fused(n, kLn2High, f + tail);
  const float end = x == 0.0F ? -__builtin_inff() : x < 0.0F ? __builtin_nanf("") : x;
  return x > 0.0F && x < __builtin_inff() ? y : end;
}

// ln(1 + e^x), by max(x, 0) and ln(1 + u) with u = e^−|x|, whose rounding in 1 + u the factor makes up for.
[[maybe_unused]] inline float softplus_f32(float x) {
  const float u = exp_f32(-absolute(x)), w = 1.0F + u, rounded = w - 1.0F;
  const float factor = u / (rounded == 0.0F ? 1.0F : rounded), log = rounded == 0.0F ? u : log_f32(w) * factor;
  return (x < 0.0F ? 0.0F : x) + log;
}

// x tanh(ln(1 + e^x)), which is x w / (w + 2) with w = e^x (e^x + 2); 0 where e^x is subnormal.
[[maybe_unused]] inline float mish_f32(float x) {
  const float n = exp_f32(clamp_through(x, -87.0F, 20.0F)), w = n * (n + 2.0F), y = x * (w / (w + 2.0F));
  return x < -87.0F ? 0.0F : y;
}

// Sine, or by a quarter more cosine. The quarters of a circle are taken away in double precision, which holds what is
// left for |x| < kMostTurned; then Cephes' polynomials.
inline constexpr float kMostTurned = 1073741824.0F;

[[maybe_unused]] inline float sine_f32(float x, std::int32_t more) {
  constexpr float kSine[] = {-1.9515295891e-4F, 8.3321608736e-3F, -1.6666654611e-1F};
  constexpr float kCosine[] = {2.443315711809948e-5F, -1.388731625493765e-3F, 4.166664568298827e-2F};
  constexpr double kPerRadian = 0.63661977236758134308, kHigh = 1.57079632679489661923, kLow = 6.123233995736766e-17;
  const double wide = x, quarters = __builtin_rint(wide * kPerRadian);
  const auto r = static_cast<float>(__builtin_fma(-quarters, kLow, __builtin_fma(-quarters, kHigh, wide)));
  const std::int32_t quadrant = static_cast<std::int32_t>(quarters) + more;
  const float z = r * r, sine = fused(polynomial(kSine, z) * z, r, r);
  const float cosine = fused(polynomial(kCosine, z), z * z, fused(z, -0.5F, 1.0F));
  const float y = quadrant & 1 ? cosine : sine;
  return quadrant & 2 ? -y : y;
}

[[maybe_unused]] inline float tan_f32(float x) { return sine_f32(x, 0) / sine_f32(x, 1); }

// Cephes' asinf, acosf and atanf, and their hyperbolic sisters: polynomials near 0, and elsewhere what brings there.
inline constexpr float kHalfPi = 1.57079632679F, kLn2 = 0.69314718056F;

// What asin is of s = √z, up to a half.
[[maybe_unused]] inline float asin_near(float s, float z) {
  constexpr float kNear[] = {4.2163199048e-2F, 2.4181311049e-2F, 4.5470025998e-2F, 7.4953002686e-2F, 1.6666752422e-1F};
  return fused(polynomial(kNear, z) * z, s, s);
}

[[maybe_unused]] inline float asin_f32(float x) {
  const float a = absolute(x), half = 0.5F * (1.0F - a), z = a > 0.5F ? half : a * a;
  const float y = asin_near(a > 0.5F ? __builtin_sqrtf(half) : a, z);
  return with_sign(a > 0.5F ? kHalfPi - (y + y) : y, x);
}

[[maybe_unused]] inline float acos_f32(float x) {
  const float a = absolute(x), half = 0.5F * (1.0F - a), z = a > 0.5F ? half : a * a;
  const float y = asin_near(a > 0.5F ? __builtin_sqrtf(half) : a, z);
  const float far = x < 0.0F ? 2.0F * kHalfPi - (y + y) : y + y;
  return a > 0.5F ? far : kHalfPi - with_sign(y, x);
}

[[maybe_unused]] inline float atan_f32(float x) {
  constexpr float kNear[] = {8.05374449538e-2F, -1.38776856032e-1F, 1.99777106478e-1F, -3.33329491539e-1F};
  constexpr float kEighth = 0.414213562373F, kThreeEighths = 2.41421356237F;  // tangents of parts of π
  const float a = absolute(x);
  const bool far = a > kThreeEighths, middle = a > kEighth;
  const float above = far ? -1.0F : middle ? a - 1.0F : a, below = far ? a : middle ? a + 1.0F : 1.0F;
  const float t = above / below, z = t * t, y = fused(polynomial(kNear, z) * z, t, t);
  return with_sign((far ? kHalfPi : middle ? 0.5F * kHalfPi : 0.0F) + y, x);
}

// By the root of e^|x|, which does not overflow before the result does.
[[maybe_unused]] inline float sinh_f32(float x) {
  constexpr float kNear[] = {2.03721912945e-4F, 8.33028376239e-3F, 1.66667160211e-1F};
  const float a = absolute(x), z = x * x, root = exp_f32(0.5F * a);
  const float near = fused(polynomial(kNear, z) * z, x, x), far = 0.5F * root * root - 0.5F / (root * root);
  return a < 1.0F ? near : with_sign(far, x);
}

[[maybe_unused]] inline float cosh_f32(float x) {
  const float root = exp_f32(0.5F * absolute(x));
  return 0.5F * root * root + 0.5F / (root * root);
}

// Beyond, √(x² ± 1) is x.
inline constexpr float kWide = 1500.0F;

[[maybe_unused]] inline float asinh_f32(float x) {
  constexpr float kNear[] = {2.0122003309e-2F, -4.2699340972e-2F, 7.4847586088e-2F, -1.6666288134e-1F};
  const float a = absolute(x), z = x * x, near = fused(polynomial(kNear, z) * z, x, x);
  const float far = log_f32(a > kWide ? a : a + __builtin_sqrtf(z + 1.0F)) + (a > kWide ? kLn2 : 0.0F);
  return a < 0.5F ? near : with_sign(far, x);
}

[[maybe_unused]] inline float acosh_f32(float x) {
  constexpr float kNear[] = {1.7596881071e-3F, -7.5272886713e-3F, 2.6454905019e-2F, -1.1784741703e-1F, 1.4142135263F};
  const float z = x - 1.0F, near = polynomial(kNear, z) * __builtin_sqrtf(z);
  const float far = log_f32(x > kWide ? x : x + __builtin_sqrtf(z * (x + 1.0F))) + (x > kWide ? kLn2 : 0.0F);
  return z < 0.5F ? near : far;
}

[[maybe_unused]] inline float atanh_f32(float x) {
  constexpr float kNear[] = {1.81740078349e-1F, 8.24370301058e-2F, 1.46691431730e-1F, 1.99782164500e-1F,
                             3.33337300303e-1F};
  const float a = absolute(x), z = x * x, near = fused(polynomial(kNear, z) * z, x, x);
  const float far = 0.5F * log_f32((1.0F + a) / (1.0F - a));
  return a < 0.5F ? near : with_sign(far, x);
}

// x · Φ(x) = max(x, 0) − |x| · Φ(−|x|), the last factor as 2^g(|x|): g is a polynomial, and what it gives beyond kFar
// is less than a step of any result but 0. Small negative results keep their digits.
inline constexpr float kGeluFar = 5.75F;

[[maybe_unused]] inline float gelu_power(float x) {
  constexpr float kPower[] = {-1.48181813e-8F, 4.83743738e-7F,  -6.74607327e-6F, 5.04796008e-5F,
                              -1.84430595e-4F, -2.12554223e-4F, 7.23047554e-3F,  -5.26544861e-2F,
                              -4.59140927e-1F, -1.15111566F,    -9.99999762e-1F};
  const float a = absolute(x);
  return polynomial(kPower, kGeluFar < a ? kGeluFar : a);
}

[[maybe_unused]] inline float gelu_by(float x, float g) {
  constexpr float kTwo[] = {1.32765e-3F, 9.67554e-3F, 5.550713e-2F, 2.402212e-1F, 6.9314694e-1F, 1.0000001F};
  const float a = absolute(x), shifted = g + kRound, r = g - (shifted - kRound);
  const std::uint32_t n = __builtin_bit_cast(std::uint32_t, shifted) - __builtin_bit_cast(std::uint32_t, kRound);
  const float tail = polynomial(kTwo, r) * a * power_of_two(n);
  return (x < 0.0F ? 0.0F : x) - (a > kGeluFar ? 0.0F : tail);
}

[[maybe_unused]] inline float gelu_tanh_f32(float x) {
  const float u = 0.79788456F * (x + 0.044715F * (x * x * x));
  return 0.5F * x * (1.0F + tanh_f32(u));
}

}  // namespace
}  // namespace quaver::kernels
