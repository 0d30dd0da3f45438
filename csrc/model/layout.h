// How a compiled model lies in its file, little endian:
//   Header | segments, each at a multiple of 4096 | root (FlatBuffers, quaver.fbs) at a multiple of 64
// The root comes last, so that a segment can be added to a file without moving another.
//
// A delta is such a file of another magic. Its root is all of the new model's; of the constants it has those that the
// base lacks. The others' rows lie in a segment of kind `base`, which is no part of the file: offset 0, the size of the
// segment that the base's constants make up, rows at their places there, and as its hash identity() of the base.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/aligned.h"

#ifndef QUAVER_VERSION  // the build defines it
#define QUAVER_VERSION "0.0.0"
#endif

namespace quaver {

inline constexpr std::array<char, 8> kMagic{'Q', 'U', 'A', 'V', 'E', 'R', '\0', '\1'};
inline constexpr std::array<char, 8> kDeltaMagic{'Q', 'D', 'E', 'L', 'T', 'A', '\0', '\1'};
inline constexpr std::uint32_t kFormat = 2;
inline constexpr std::size_t kPage = 4096;

enum class SegmentKind : std::uint32_t { canonical = 0, packed = 1, base = 2 };

struct Header {
  std::array<char, 8> magic = kMagic;
  std::uint32_t format = kFormat;
  std::uint32_t reserved = 0;
  std::uint64_t file_size = 0;
  std::uint64_t root_offset = 0;
  std::uint64_t root_size = 0;
  std::uint64_t root_hash = 0;  // XXH3, 64 bits
};
static_assert(sizeof(Header) == 48);

}  // namespace quaver
