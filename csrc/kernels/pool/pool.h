// Pooling, and every reduction that keeps the innermost dimension: each channel of a pixel over the pixel's taps.
//
//   max:     c[i][j] = max over valid taps of a(i, t)[j]; 0 (u8) or -inf (f32) where a pixel has no valid tap
//   average, u8:  acc = Σ a(i, t)[j] − n(i) · a_zero                                exact int32
//                 c[i][j] = rne(min(max(float(acc) · mul[i], lo), hi)) + zero       stored as u8
//   average, f32: y = 0; for valid t in order: y = y + a(i, t)[j]
//                 c[i][j] = y / divisor[i]
//
// a(i, t) = a + offsets[i·taps + t]; a tap is valid unless its offset is kPad, and n(i) counts pixel i's valid taps.
// `lo` and `hi` lie in [−zero, 255 − zero]. In a maximum x replaces y only where x > y, so a NaN is passed over.
// Kernels read exactly `channels` elements of a row; a and c do not overlap. taps ≤ 2^23.
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa/isa.h"
#include "kernels/gemm/gemm_u8.h"

namespace quaver::kernels {

enum class PoolKind : std::uint8_t { max_u8, max_f32, average_u8, average_f32 };

struct PoolArgs {
  std::size_t pixels = 0, channels = 0, taps = 0;
  const void* a = nullptr;
  const std::int32_t* offsets = nullptr;  // [pixels][taps], bytes from `a`
  const float* mul = nullptr;             // average_u8: [pixels]
  const float* divisor = nullptr;         // average_f32: [pixels]
  std::int32_t a_zero = 0, zero = 0;      // average_u8
  float lo = -255, hi = 255;              // average_u8
  void* c = nullptr;
  std::size_t c_stride = 0;  // bytes between pixels
};

struct PoolKernel {
  const char* name;
  Isa isa;
  PoolKind kind;
  void (*run)(const PoolArgs&);
};

struct PoolList {
  const PoolKernel* const* items;
  std::size_t size;
};
PoolList pool_kernels();
const PoolKernel& pick_pool(IsaSet set, PoolKind kind);

}  // namespace quaver::kernels
