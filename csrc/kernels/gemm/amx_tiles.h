// The registers of AMX: eight tiles of up to 16 rows of 64 bytes. Internal linkage, for kernel files.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quaver::kernels {
namespace {

constexpr std::size_t kTileRows = 16, kTileBytes = 64;

// Written out: the intrinsics take names, not constants, and do not say that they read memory.
template <int kTile>
inline void load(const void* from, std::size_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "i"(kTile) : "memory");
}
template <int kTile>
inline void store(void* to, std::size_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "i"(kTile) : "memory");
}

template <int kTile>
inline void zero() {
  asm volatile("tilezero %%tmm%c0" ::"i"(kTile));
}
// Both sums of 16 pairs, as gemm_bf16.h has them.
template <int kSums, int kRows, int kWeights>
inline void dot_bf16() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSums), "i"(kRows), "i"(kWeights));
}

// Sums of R tiles of rows, the lower ones apart, × N of columns; a stride of 0 makes all rows the first.
template <int R, int N, class Sum>
inline void load_sums(const Sum* upper, const Sum* lower, std::size_t stride) {
  constexpr std::size_t kColumns = kTileBytes / sizeof(Sum);
  load<0>(upper, stride);
  if constexpr (N > 1) load<1>(upper + kColumns, stride);
  if constexpr (R > 1) load<2>(lower, stride);
  if constexpr (R > 1 && N > 1) load<3>(lower + kColumns, stride);
}
// Row after row, `rows` of them in the upper tiles.
template <int R, int N, class Sum>
inline void store_sums(Sum* upper, std::size_t rows) {
  constexpr std::size_t kColumns = kTileBytes / sizeof(Sum), kStride = N * kTileBytes;
  Sum* lower = upper + rows * N * kColumns;
  store<0>(upper, kStride);
  if constexpr (N > 1) store<1>(upper + kColumns, kStride);
  if constexpr (R > 1) store<2>(lower, kStride);
  if constexpr (R > 1 && N > 1) store<3>(lower + kColumns, kStride);
}

// Tiles 0 to 3 hold sums, 4 and 5 rows, 6 and 7 weights, all `quads` of four bytes along k.
class Tiles {
 public:
  void configure(std::size_t upper, std::size_t lower, std::size_t quads) {
    if (upper == rows_[0] && lower == rows_[2]) return;
    for (int t = 0; t < 8; ++t) {
      rows_[t] = static_cast<std::uint8_t>(t >= 6 ? quads : t == 2 || t == 3 || t == 5 ? lower : upper);
      row_bytes_[t] = static_cast<std::uint16_t>(t == 4 || t == 5 ? 4 * quads : kTileBytes);
    }
    asm volatile("ldtilecfg %0" ::"m"(*this));
  }

  // Tiles in use make a switch of threads save them, too.
  static void release() { asm volatile("tilerelease"); }

 private:
  std::uint8_t palette_ = 1, start_row_ = 0, reserved_[14] = {};
  std::uint16_t row_bytes_[16] = {};
  std::uint8_t rows_[16] = {};
};
static_assert(sizeof(Tiles) == 64);

}  // namespace
}  // namespace quaver::kernels
