// exp_negative of exp.h, lane by lane. Internal linkage, for kernel files.
#pragma once

#include "kernels/floats_x86.h"
#include "kernels/softmax/exp.h"

namespace quaver::kernels {
namespace {

inline Floats exp_lanes(Floats x) {
  const Floats least = splat(kExpLeast), clamped = greater(least, x);
  const Floats shifted = fused(clamped, splat(kLog2E), splat(kRound));
  const Floats n = shifted - kRound;
  const Floats r = fused(n, splat(-kLn2Low), fused(n, splat(-kLn2High), clamped));
  Floats y = splat(kExpCoefficients[0]);
#pragma GCC unroll 8
  for (int k = 1; k < kExpTerms; ++k) y = fused(y, r, splat(kExpCoefficients[k]));
  y = y * (Floats)(((Ints)shifted + 127) << 23);
  return (Floats)((Ints)y & ~(Ints)(x < least));
}

}  // namespace
}  // namespace quaver::kernels
