// Where a tap's bytes lie. Internal linkage, for kernel files.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/gemm/gemm_u8.h"
#include "kernels/gemm/part.h"

namespace quaver::kernels {
namespace {

// What pixel `i` of a convolution multiplies with tap `t`: T is std::uint8_t or float, Args the kernel's.
template <class T, class Args>
inline const T* tap_of(const Args& g, std::size_t i, std::size_t t) {
  const std::int32_t offset = g.offsets[i * g.taps + t];
  return offset == kPad ? g.pad : reinterpret_cast<const T*>(reinterpret_cast<const char*>(g.a) + offset);
}

// The same for a product, which has one tap and no offsets, or a convolution.
template <class T, class Args>
inline const T* row_of(const Args& g, std::size_t i, std::size_t t) {
  if (g.offsets) return tap_of<T>(g, i, t);
  return reinterpret_cast<const T*>(reinterpret_cast<const char*>(g.a) + i * g.a_stride);
}

constexpr std::size_t least(std::size_t a, std::size_t b) { return a < b ? a : b; }
constexpr std::size_t ceil_div(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

// Columns whose packed weights stay in the second-level cache while all rows pass over them: whole tiles of `tile`
// columns, at least one.
constexpr std::size_t strip_columns(std::size_t bytes_per_column, std::size_t tile) {
  constexpr std::size_t kBytes = std::size_t{1} << 18;
  const std::size_t tiles = kBytes / (bytes_per_column * tile);
  return (tiles ? tiles : 1) * tile;
}

}  // namespace
}  // namespace quaver::kernels
