// Matrix product and convolution of u8 activations and s8 weights.
//
// For a row i < m and a column j < n:
//
//   acc    = bias[j] + Σ_t Σ_p a(i, t)[p] · w[t][p][j] − row_sum[i] · col_zero[j]      exact int32, wrapping
//   y      = float(acc) · scale[j]
//   y      = min(max(y, pre_lo), pre_hi)
//   y      = y + float(r[i][j] − r_zero) · r_scale                                    where a residual is given
//   c[i,j] = rne(min(max(y, lo), hi)) + zero                                          stored as u8
//
// Every operation is one IEEE single operation in the order written, never fused; rne rounds to nearest even.
// max(y, lo) is lo > y ? lo : y, and min(y, hi) is hi < y ? hi : y.
// `lo` and `hi` lie in [−zero, 255 − zero], so the sum is a u8. −zp·Σw is folded into `bias` when weights are packed.
// Output::i32 stores acc itself (wherever the sum is asked for), Output::f32 stores y after the last clamp, plus
// shift[j] where that is given.
//
// a(i, t) is the row of `k` bytes that tap t multiplies: a + i·a_stride for a product (taps = 1, offsets null);
// for a convolution a + offsets[i·taps + t], or `pad`, a row of k zero-point bytes, where that offset is kPad.
// Where a convolution's rows lie on a grid, `pitch` says so: with p(i) = i / width · pitch + i % width,
//   offsets[i · taps + t] = offsets[t] + p(i) · a_stride, none of them kPad.
// A kernel may then read the rows between as well.
// Kernels read exactly these k bytes, never past them; packed weights, bias, scale, shift and col_zero are padded with
// zeros to a multiple of the layout's nr columns. c and r are touched only inside m × n; for Output::u8, c may be r
// itself.
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa/isa.h"

namespace quaver::kernels {

inline constexpr std::int32_t kPad = INT32_MIN;

enum class Output : std::uint8_t { u8, i32, f32 };

struct GemmU8Args {
  std::size_t m = 0, n = 0, k = 0, taps = 1;
  const std::uint8_t* a = nullptr;
  std::size_t a_stride = 0;                // bytes
  const std::int32_t* offsets = nullptr;   // [m][taps], bytes from `a`
  std::size_t width = 0, pitch = 0;        // of a grid
  const std::uint8_t* pad = nullptr;       // [k]
  const std::int8_t* w = nullptr;          // packed by pack_gemm_u8
  const std::int32_t* bias = nullptr;      // [n], never null
  const float* scale = nullptr;            // [n]; null for Output::i32
  const float* shift = nullptr;            // [n] or null; for Output::f32 alone
  const std::int32_t* row_sum = nullptr;   // [m] or null: Σ of all bytes row i multiplies
  const std::int32_t* col_zero = nullptr;  // [n], with row_sum
  float pre_lo = -__builtin_inff(), pre_hi = __builtin_inff();
  float lo = -__builtin_inff(), hi = __builtin_inff();
  std::int32_t zero = 0;
  const std::uint8_t* r = nullptr;  // residual [m][n] or null
  std::size_t r_stride = 0;         // bytes
  std::int32_t r_zero = 0;
  float r_scale = 0;
  Output output = Output::u8;
  void* c = nullptr;
  std::size_t c_stride = 0;  // bytes
};

// `n16k4`: panels of 16 columns; in a panel, for each tap and each group of 4 along k (the last one padded with zeros),
// 64 bytes: column 0's four, column 1's four, … So w[t][p][j] lies at
//   (((j / 16) · taps + t) · ceil(k / 4) + p / 4) · 64 + (j % 16) · 4 + p % 4.
// Both x86 and ARM dot products take it as it is; a kernel with wider tiles takes several panels at once.
struct GemmU8Layout {
  std::uint8_t nr = 16, kr = 4;
};

struct GemmU8Kernel {
  const char* name;  // "gemm_u8_avx2_6x16"
  Isa isa;
  GemmU8Layout layout;
  std::size_t mr;                  // rows per tile: any m is taken, multiples run best
  std::size_t nr;                  // columns per tile, a multiple of layout.nr
  void (*run)(const GemmU8Args&);  // any m, n, k, taps ≥ 1
  // Whether it is faster than those of lower rank on this shape; null: always.
  bool (*pays)(std::size_t m, std::size_t n, std::size_t k, std::size_t taps) = nullptr;
  // Whether it is faster on a grid than on any offsets; null: never.
  bool (*reads_grid)(std::size_t k) = nullptr;
};

// Bytes of packed weights, and the packing itself. `w` is [n][taps][k] (a convolution's [O, kh·kw, C]).
std::size_t packed_size(GemmU8Layout layout, std::size_t n, std::size_t taps, std::size_t k);
void pack_gemm_u8(GemmU8Layout layout, std::size_t n, std::size_t taps, std::size_t k, const std::int8_t* w,
                  std::int8_t* out);

// All kernels built in, the scalar definition first. A list, not a map: selection, tests and benchmarks walk it.
struct GemmU8List {
  const GemmU8Kernel* const* items;
  std::size_t size;
};
GemmU8List gemm_u8_kernels();
// The best of `set` for this shape.
const GemmU8Kernel& pick_gemm_u8(IsaSet set, std::size_t m, std::size_t n, std::size_t k, std::size_t taps = 1);

}  // namespace quaver::kernels
