// Reductions along contiguous rows; reductions that keep the innermost dimension are in pool/.
//
//   max, u8:   c[i] = max_j a[i][j]; 0 for n = 0
//   max, f32:  in 16 lanes: m[l] = -inf; for j ≡ l (mod 16) in order: m[l] = a[i][j] > m[l] ? a[i][j] : m[l];
//              c[i] = m[0]; for l in order: c[i] = m[l] > c[i] ? m[l] : c[i]          a NaN is passed over
//   sum, u8:   acc = Σ_j a[i][j] − n · a_zero                                        exact int32
//              c[i] = rne(min(max(float(acc) · mul, lo), hi)) + zero                 stored as u8
//   sum, f32:  in 16 lanes: s[l] = 0; for j ≡ l (mod 16) in order: s[l] = s[l] + a[i][j];
//              for h in 8, 4, 2, 1: for l < h: s[l] = s[l] + s[l + h]
//              c[i] = s[0] / divisor
//
// `lo` and `hi` lie in [−zero, 255 − zero]. n ≤ 2^23 for u8.
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa/isa.h"

namespace quaver::kernels {

enum class ReduceKind : std::uint8_t { max_u8, max_f32, sum_u8, sum_f32 };

struct ReduceArgs {
  std::size_t rows = 0, n = 0;
  const void* a = nullptr;            // [rows][n], dense
  float mul = 1, divisor = 1;         // sum_u8; sum_f32
  std::int32_t a_zero = 0, zero = 0;  // sum_u8
  float lo = -255, hi = 255;          // sum_u8
  void* c = nullptr;                  // [rows]
};

struct ReduceKernel {
  const char* name;
  Isa isa;
  ReduceKind kind;
  void (*run)(const ReduceArgs&);
};

struct ReduceList {
  const ReduceKernel* const* items;
  std::size_t size;
};
ReduceList reduce_kernels();
const ReduceKernel& pick_reduce(IsaSet set, ReduceKind kind);

}  // namespace quaver::kernels
