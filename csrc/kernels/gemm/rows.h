// Where a tap's bytes lie, and how a kernel reads their tail. Internal linkage, for kernel files.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/gemm/gemm_u8.h"

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

typedef std::uint8_t Bytes16 __attribute__((vector_size(16)));

template <class T>
inline T read(const void* from) {
  T value;
  __builtin_memcpy(&value, from, sizeof(T));
  return value;
}

// n < 8 bytes as a little-endian integer; reads nothing else.
inline std::uint64_t read_below_8(const std::uint8_t* p, std::size_t n) {
  if (n >= 4) return read<std::uint32_t>(p) | std::uint64_t{read<std::uint32_t>(p + n - 4)} << (8 * (n - 4));
  if (n == 0) return 0;
  return p[0] | std::uint64_t{p[n / 2]} << (8 * (n / 2)) | std::uint64_t{p[n - 1]} << (8 * (n - 1));
}

// n < 16 bytes, then zeros; reads nothing else. In registers, because a vector can't be loaded from bytes just stored.
inline Bytes16 read_below_16(const std::uint8_t* p, std::size_t n) {
  typedef std::uint64_t Words __attribute__((vector_size(16)));
  if (n < 8) return reinterpret_cast<Bytes16>(Words{read_below_8(p, n), 0});
  const std::uint64_t high = n == 8 ? 0 : read<std::uint64_t>(p + n - 8) >> (8 * (16 - n));
  return reinterpret_cast<Bytes16>(Words{read<std::uint64_t>(p), high});
}

// Columns whose packed weights stay in the second-level cache while all rows pass over them: whole tiles of `tile`
// columns, at least one.
constexpr std::size_t strip_columns(std::size_t bytes_per_column, std::size_t tile) {
  constexpr std::size_t kBytes = std::size_t{1} << 18;
  const std::size_t tiles = kBytes / (bytes_per_column * tile);
  return (tiles ? tiles : 1) * tile;
}

}  // namespace
}  // namespace quaver::kernels
