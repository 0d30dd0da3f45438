// Layer normalization of rows, in fp32 inside, with the residual that comes before it.
//
//   x[j] = a[i][j] (+ r[i][j], where a residual is given)  a byte q of either stands for float(q − zero) · scale
//   m    = Σ x[j] / n                                        in 16 lanes, as sum_f32 in reduce/reduce.h
//   d[j] = x[j] − m
//   v    = Σ d[j] · d[j] / n                                 likewise
//   u    = 1 / sqrt(v + epsilon)
//   y[j] = (d[j] · u) · gamma[j] + beta[j]
//   c[i][j] = y[j]                                           where c is given
//   b[i][j] = rne(min(max(y[j] · f[j] · mul, lo), hi)) + zero   where b is given; f[j] is left out where factor is null
//
// Every operation is one IEEE single operation in the order written, never fused; rne rounds to nearest even, and a
// NaN becomes lo. `lo` and `hi` lie in [−zero, 255 − zero]. c may be a or r itself where that is fp32, b likewise where
// that is u8.
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa/isa.h"

namespace quaver::kernels {

inline constexpr std::size_t kNormRows = 4;  // that are normalized side by side

// An operand [rows][n], dense: fp32, or bytes of one scale.
struct NormOperand {
  const float* f32 = nullptr;
  const std::uint8_t* u8 = nullptr;
  float scale = 1;
  std::int32_t zero = 0;
};

struct LayerNormArgs {
  std::size_t rows = 0, n = 0;  // n ≥ 1
  NormOperand a, r;             // r: neither pointer where there is no residual
  const float* gamma = nullptr;
  const float* beta = nullptr;
  float epsilon = 0;
  const float* factor = nullptr;  // [n]
  float mul = 1, lo = -255, hi = 255;
  std::int32_t zero = 0;
  float* scratch = nullptr;  // [kNormRows][n]
  float* c = nullptr;        // [rows][n], dense
  std::uint8_t* b = nullptr;
};

struct LayerNormKernel {
  const char* name;
  Isa isa;
  void (*run)(const LayerNormArgs&);
};

struct LayerNormList {
  const LayerNormKernel* const* items;
  std::size_t size;
};
LayerNormList layer_norm_kernels();
const LayerNormKernel& pick_layer_norm(IsaSet set);

}  // namespace quaver::kernels
