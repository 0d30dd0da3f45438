// One output row of a separable interpolation with 2 (linear) or 4 (cubic) taps a direction.
//
//   h_r  = x(r, i, 0)[j] · wx[i][0]; for t in order: h_r = h_r + x(r, i, t)[j] · wx[i][t]
//   y    = h_0 · wy[0];              for r in order: y = y + h_r · wy[r]
//   c[i][j] = y, or for u8 rne(min(max(y · mul, lo), hi)) + zero
//
// x(r, i, t) = rows[r] + columns[i·taps + t] is a pixel of `channels` elements, for u8 the differences to a_zero.
// Each operation rounds once. `lo` and `hi` lie in [−zero, 255 − zero].
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa/isa.h"

namespace quaver::kernels {

enum class ResizeKind : std::uint8_t { u8, f32 };

struct ResizeArgs {
  std::size_t width = 0, channels = 0;
  std::size_t taps = 2;                   // 2 or 4
  const void* rows[4] = {};               // [taps]
  float wy[4] = {};                       // [taps]
  const std::int32_t* columns = nullptr;  // [width][taps], bytes
  const float* wx = nullptr;              // [width][taps]
  std::int32_t a_zero = 0, zero = 0;      // u8
  float mul = 1, lo = -255, hi = 255;     // u8
  void* c = nullptr;                      // [width][channels], dense
};

struct ResizeKernel {
  const char* name;
  Isa isa;
  ResizeKind kind;
  void (*run)(const ResizeArgs&);
};

struct ResizeList {
  const ResizeKernel* const* items;
  std::size_t size;
};
ResizeList resize_kernels();
const ResizeKernel& pick_resize(IsaSet set, ResizeKind kind);

}  // namespace quaver::kernels
