// exp(x) for x ≤ 0, within 2 units in the last place; below −87.33, where the result would be subnormal, 0. NaN passes.
// Fused multiply-adds in a fixed order, so that every instruction set gives the same bits.
//
//   n = round(x / ln 2), r = x − n ln 2 in two steps, exp(x) = 2^n · P(r); P is Cephes' expf polynomial.
#pragma once

#include <cstdint>

#include "kernels/exp_terms.h"
#include "kernels/rounding.h"

namespace quaver::kernels {
namespace {

constexpr float kExpLeast = -87.33F;

inline float exp_negative(float x) {
  const float clamped = x < kExpLeast ? kExpLeast : x;
  const float shifted = __builtin_fmaf(clamped, kLog2E, kRound);
  const float n = shifted - kRound;
  const float r = __builtin_fmaf(n, -kLn2Low, __builtin_fmaf(n, -kLn2High, clamped));
  float y = kExpCoefficients[0];
  for (int k = 1; k < kExpTerms; ++k) y = __builtin_fmaf(y, r, kExpCoefficients[k]);
  const std::uint32_t power = (__builtin_bit_cast(std::uint32_t, shifted) + 127U) << 23;
  return x < kExpLeast ? 0.0F : y * __builtin_bit_cast(float, power);
}

}  // namespace
}  // namespace quaver::kernels
