// Matrix product and convolution in fp32.
//
//   y      = bias[j], s = 0; for t, for p in order: s = fma(a(i, t)[p], w[t][p][j], s)
//   y      = y + s after every 256 of them, where s = 0 again, and at the end
//   y      = min(max(y, pre_lo), pre_hi) + r[i][j] (where a residual is given);  c[i,j] = min(max(y, lo), hi)
//
// The order along k is fixed and each step is one fused multiply-add, so that every instruction set gives the same
// bits. Stretches keep what is lost by rounding from growing with k. Rows, taps, offsets and padding as in gemm_u8.h,
// counted in bytes. NaN passes through the clamps.
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa/isa.h"
#include "kernels/gemm/gemm_u8.h"

namespace quaver::kernels {

// Element: of rows and weights; float, or a bf16's bits (gemm_bf16.h).
template <class Element>
struct GemmFloatArgs {
  std::size_t m = 0, n = 0, k = 0, taps = 1;  // k in elements
  const Element* a = nullptr;
  bool a_is_f32 = false;                  // what `a` and `pad` point at, although Element is a bf16's bits
  std::size_t a_stride = 0;               // bytes
  const std::int32_t* offsets = nullptr;  // [m][taps], bytes from `a`
  std::size_t width = 0, pitch = 0;       // of a grid, which only bf16 kernels with `round_grid` take
  const Element* pad = nullptr;           // [k] zeros
  const Element* w = nullptr;             // packed
  const float* bias = nullptr;            // [n], never null
  float pre_lo = -__builtin_inff(), pre_hi = __builtin_inff();
  float lo = -__builtin_inff(), hi = __builtin_inff();
  const float* r = nullptr;  // residual [m][n] or null
  std::size_t r_stride = 0;  // bytes
  float* c = nullptr;
  std::size_t c_stride = 0;  // bytes
};

using GemmF32Args = GemmFloatArgs<float>;

inline constexpr std::size_t kStretch = 256;  // of products that one sum takes

// Panels of 16 columns: w[t][p][j] lies at (((j / 16) · taps + t) · k + p) · 16 + j % 16.
inline constexpr std::size_t kGemmF32Panel = 16;

struct GemmF32Kernel {
  const char* name;
  Isa isa;
  std::size_t mr, nr;
  void (*run)(const GemmF32Args&);
};

std::size_t packed_count_f32(std::size_t n, std::size_t taps, std::size_t k);                    // floats
void pack_gemm_f32(std::size_t n, std::size_t taps, std::size_t k, const float* w, float* out);  // w: [n][taps][k]

struct GemmF32List {
  const GemmF32Kernel* const* items;
  std::size_t size;
};
GemmF32List gemm_f32_kernels();
const GemmF32Kernel& pick_gemm_f32(IsaSet set, std::size_t m, std::size_t n, std::size_t k);

}  // namespace quaver::kernels
