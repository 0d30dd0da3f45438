// Rows of a u8 product in the form that the tiles read: the taps of each laid end to end, brought by T::stage to what T
// broadcasts from, so that the inner loop knows neither taps, offsets nor the tail of k. Internal linkage, for kernel
// files.
#pragma once

#include "kernels/gemm/gemm_u8.h"
#include "kernels/gemm/rows.h"

namespace quaver::kernels {
namespace {

template <class T>
struct Stage {
  static constexpr std::size_t kRowBytes = 4096;  // of all rows at once: what stays in the first-level cache
  static constexpr std::size_t kQuads = kRowBytes / T::kQuadBytes;
  // 64 more: a tail is staged as 16 values, and rows must not meet in the same cache sets.
  static constexpr std::size_t kStride = kRowBytes + 64;
  alignas(64) std::uint8_t bytes[T::kRows * kStride];
};

template <class T>
inline void stage_run(std::uint8_t* to, const std::uint8_t* from, std::size_t size) {
  for (; size >= 16; size -= 16, from += 16, to += 4 * T::kQuadBytes) T::stage(to, read<Bytes16>(from));
  if (size > 0) T::stage(to, read_below_16(from, size));
}

// Stages the quads [first, first + count) of rows [i, i + rows).
template <class T>
void stage(const GemmU8Args& g, std::size_t i, std::size_t rows, std::size_t first, std::size_t count, Stage<T>& s) {
  const std::size_t quads = ceil_div(g.k, 4);
  const std::size_t first_tap = first ? first / quads : 0, first_quad = first - first_tap * quads;
  for (std::size_t r = 0; r < rows; ++r) {
    std::uint8_t* to = s.bytes + r * s.kStride;
    std::size_t t = first_tap, q = first_quad;
    for (std::size_t left = count; left > 0; q = 0, ++t) {
      const std::size_t run = least(quads - q, left);
      stage_run<T>(to, row_of<std::uint8_t>(g, i + r, t) + 4 * q, least(4 * run, g.k - 4 * q));
      to += run * T::kQuadBytes;
      left -= run;
    }
  }
}

}  // namespace
}  // namespace quaver::kernels
