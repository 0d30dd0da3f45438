// Functions of one fp32 number, y[i] = f(x[i]).
//
// Each is a fixed sequence of IEEE single operations (math.h), fused where it says so, so that every instruction set
// gives the same bits; only the payload and sign of a NaN are left open. Largest errors, over all floats:
//
//   exp 1.0, tanh 1.4, erf 1.2, sigmoid 2.6 ulp (a test measures them against double precision)
//   log, sin, cos, tan        1.0, 1.6, 1.6, 3.6 ulp; beyond 2^30 the last three are libm's
//   asin, acos, atan          2.3, 2.0, 2.8 ulp
//   sinh, cosh                3.6, 3.5 ulp
//   asinh, acosh, atanh       3.8, 3.5, 3.5 ulp
//   elu, selu                 x < 0 ? p · (e^(q x) − 1) : x, and q · (x < 0 ? p · (e^x − 1) : x)
//   softplus, mish            ln(1 + e^x), x · tanh(softplus(x)): 2.8 and 4.4 ulp
//   softsign                  x / (1 + |x|)
//   threshold, shrink         x > p ? x : 0, and x < −p ? x + q : x > p ? x − q : 0
//   hard_sigmoid              min(max(p · x + q, 0), 1)
//   hard_swish                x · hard_sigmoid(x) with p = 1/6, q = 1/2; 0 where that factor is 0
//   leaky_relu                x < 0 ? p · x : x
//   gelu, gelu_tanh           x · Φ(x), exactly and by tanh: within 1e-6 · (1 + |x|)
//   swish                     x · sigmoid(p · x)
//   affine                    p · x + q, rounded twice
//   clip                      min(max(x, p), q); NaN passes
//   sqrt, abs, neg, reciprocal, sign, floor, ceil, round     exact; to the nearest even
//
// y may be x itself; otherwise the two don't overlap.
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa/isa.h"

namespace quaver::kernels {

enum class UnaryF32Op : std::uint8_t {
  sigmoid,
  hard_sigmoid,
  hard_swish,
  leaky_relu,
  tanh,
  exp,
  sqrt,
  abs,
  neg,
  erf,
  gelu,
  gelu_tanh,
  swish,
  affine,
  clip,
  log,
  sin,
  cos,
  tan,
  asin,
  acos,
  atan,
  sinh,
  cosh,
  asinh,
  acosh,
  atanh,
  elu,
  selu,
  softplus,
  mish,
  softsign,
  threshold,
  shrink,
  reciprocal,
  sign,
  floor,
  ceil,
  round
};
inline constexpr int kUnaryF32OpCount = static_cast<int>(UnaryF32Op::round) + 1;

struct UnaryF32Args {
  UnaryF32Op op = UnaryF32Op::clip;
  std::size_t n = 0;
  const float* x = nullptr;
  float* y = nullptr;
  float p = 0, q = 0;
};

struct UnaryF32Kernel {
  const char* name;  // "unary_f32_avx2"
  Isa isa;
  void (*run)(const UnaryF32Args&);
};

// All kernels built in, the scalar definition first, and the best of `set`.
struct UnaryF32List {
  const UnaryF32Kernel* const* items;
  std::size_t size;
};
UnaryF32List unary_f32_kernels();
const UnaryF32Kernel& pick_unary_f32(IsaSet set);

}  // namespace quaver::kernels
