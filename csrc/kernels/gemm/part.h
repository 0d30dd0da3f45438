// A few bytes to and from memory, and not one more. Internal linkage, for kernel files.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quaver::kernels {
namespace {

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

// n ≤ 8 bytes as a little-endian integer, and back.
inline std::uint64_t read_part(const std::uint8_t* p, std::size_t n) {
  return n < 8 ? read_below_8(p, n) : read<std::uint64_t>(p);
}

inline void write_part(std::uint8_t* p, std::uint64_t bytes, std::size_t n) {
  if (n >= 8) {
    __builtin_memcpy(p, &bytes, 8);
    return;
  }
  for (std::size_t size = 4; size > 0; size /= 2) {
    if (!(n & size)) continue;
    __builtin_memcpy(p, &bytes, size);
    p += size, bytes >>= 8 * size;
  }
}

}  // namespace
}  // namespace quaver::kernels
