// Softmax of rows, or of columns side by side, in fp32 inside.
//
//   x[j] = a[i][j], or float(a[i][j] − a_zero) · a_scale for u8
//   m    = max_j x[j]                                     x replaces y only where x > y
//   e[j] = exp(x[j] − m)                                  the polynomial of softmax/exp.h
//   s    = Σ e[j] in 16 lanes, as sum_f32 in reduce/reduce.h
//   y    = e[j] · (1 / s)
//   c[i][j] = y, or rne(min(max(y · mul, lo), hi)) + zero for u8
//
// `lo` and `hi` lie in [−zero, 255 − zero]. A row with a NaN or +inf, or of -inf alone, is NaN throughout (zero's
// clamp `lo` in u8). c may begin where a does if rows = 1 or both are of one type.
//
// With `columns` > 0, element j of softmax i < columns is a[j · stride + i] instead, and c likewise.
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa/isa.h"

namespace quaver::kernels {

inline constexpr std::size_t kSoftmaxColumns = 16;

struct SoftmaxArgs {
  std::size_t rows = 0, n = 0;  // n ≥ 1
  const void* a = nullptr;      // [rows][n], dense
  bool a_u8 = false, c_u8 = false;
  std::int32_t a_zero = 0, zero = 0;
  float a_scale = 1, mul = 1;
  float lo = -255, hi = 255;
  std::size_t columns = 0, stride = 0;  // in elements
  float* scratch = nullptr;             // [n]; for columns [n][kSoftmaxColumns]
  void* c = nullptr;                    // [rows][n], dense
};

struct SoftmaxKernel {
  const char* name;
  Isa isa;
  void (*run)(const SoftmaxArgs&);
};

struct SoftmaxList {
  const SoftmaxKernel* const* items;
  std::size_t size;
};
SoftmaxList softmax_kernels();
const SoftmaxKernel& pick_softmax(IsaSet set);

}  // namespace quaver::kernels
