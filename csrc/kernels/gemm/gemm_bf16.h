// Matrix product and convolution of rows and weights in bf16 (the upper halves of floats), summed in fp32.
//
//   y      = bias[j]; for t in order, for p = 0, 2, … < k, 16 pairs at a time, zeros after the last:
//              s0 = 0; for the first 8 pairs: s0 = fma(a(i, t)[p + 1], w[t][p + 1][j], s0)
//                                             s0 = fma(a(i, t)[p], w[t][p][j], s0)
//              s1 likewise, of the other 8
//              y = y + (s0 + s1)
//   y      = min(max(y, pre_lo), pre_hi) + r[i][j] (where a residual is given)
//   c[i,j] = min(max(y, lo), hi)
//
// Two instructions compute this: vdpbf16ps of AVX-512 BF16 a step of one sum, a pair's odd value first; tdpbf16ps of
// AMX y's whole line, the sums side by side. Each multiply-add and addition is rounded to nearest even as though
// exponents had no end. Denormals are zeros, of the same sign: those that are read, and those that an operation would
// give. Where k is odd, a zero is the last pair's odd one. Rows, taps, offsets and padding as in gemm_f32.h; NaN passes
// through the clamps.
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa/isa.h"
#include "kernels/gemm/gemm_f32.h"

namespace quaver::kernels {

using GemmBf16Args = GemmFloatArgs<std::uint16_t>;

// Panels of 16 columns, whose 16 pairs lie as tdpbf16ps takes them: what s0 and s1 multiply next is side by side. Of
// the pairs of all taps in order the q-th has its value h at
//   ((j / 16 · ceil(pairs / 16) + q / 16) · 16 + q % 8 · 2 + 1 − h) · 32 + j % 16 · 2 + q / 8 % 2.
inline constexpr std::size_t kGemmBf16Panel = 16, kBf16Pairs = 16, kBf16Chain = 8;
constexpr std::size_t bf16_stretches(std::size_t taps, std::size_t k) {
  return (taps * ((k + 1) / 2) + kBf16Pairs - 1) / kBf16Pairs;
}
// The place of a pair's value in a panel's first column.
constexpr std::size_t bf16_place(std::size_t pair, std::size_t h) {
  const std::size_t row = pair / kBf16Pairs * kBf16Pairs + pair % kBf16Chain * 2 + 1 - h;
  return row * 2 * kGemmBf16Panel + pair / kBf16Chain % 2;
}

struct GemmBf16Kernel {
  const char* name;
  Isa isa;
  std::size_t mr, nr;
  void (*run)(const GemmBf16Args&);
  // n floats to the nearest bf16, ties to the even one; denormals to zero, NaNs to quiet ones.
  void (*round)(const float* x, std::size_t n, std::uint16_t* out);
  bool rounds = false;  // rows of one tap itself (`a_is_f32`)
  // Rounds n floats, a multiple of 32, to rows on a grid (`pitch`, k a multiple of 32); null: it takes no grid.
  void (*round_grid)(const float* x, std::size_t n, std::uint16_t* out) = nullptr;
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
