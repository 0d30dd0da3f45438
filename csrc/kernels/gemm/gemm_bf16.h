// Matrix product and convolution of rows and weights in bf16 (the upper halves of floats), summed in fp32.
//
//   y      = bias[j]; for t in order, for p = 0, 2, … < k:
//              y = fma(a(i, t)[p + 1], w[t][p + 1][j], y)
//              y = fma(a(i, t)[p], w[t][p][j], y)
//   y      = min(max(y, pre_lo), pre_hi) + r[i][j] (where a residual is given)
//   c[i,j] = min(max(y, lo), hi)
//
// This is what vdpbf16ps of AVX-512 BF16 computes: of a pair the odd one first, each step one multiply-add rounded to
// nearest even as though exponents had no end. Denormals are zeros, of the same sign: those that are read, and those
// that an operation would give. Where k is odd, a zero is the last pair's odd one. Rows, taps, offsets and padding as
// in gemm_f32.h; NaN passes through the clamps.
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa/isa.h"
#include "kernels/gemm/gemm_f32.h"

namespace quaver::kernels {

using GemmBf16Args = GemmFloatArgs<std::uint16_t>;

// Panels of 16 columns, and in them pairs along k side by side: w[t][p][j] lies at
//   (((j / 16) · taps + t) · ceil(k / 2) + p / 2) · 32 + (j % 16) · 2 + p % 2.
inline constexpr std::size_t kGemmBf16Panel = 16;

struct GemmBf16Kernel {
  const char* name;
  Isa isa;
  std::size_t mr, nr;
  void (*run)(const GemmBf16Args&);
  // n floats to the nearest bf16, ties to the even one; denormals to zero, NaNs to quiet ones.
  void (*round)(const float* x, std::size_t n, std::uint16_t* out);
};

std::size_t packed_count_bf16(std::size_t n, std::size_t taps, std::size_t k);  // 16-bit words
// w: [n][taps][k], rounded as GemmBf16Kernel::round does.
void pack_gemm_bf16(std::size_t n, std::size_t taps, std::size_t k, const float* w, std::uint16_t* out);

struct GemmBf16List {
  const GemmBf16Kernel* const* items;
  std::size_t size;
};
GemmBf16List gemm_bf16_kernels();
const GemmBf16Kernel& pick_gemm_bf16(IsaSet set);

}  // namespace quaver::kernels
