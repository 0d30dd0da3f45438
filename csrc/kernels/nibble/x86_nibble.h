// Products with weights of four bits, for any vector width that a trait T describes. Internal linkage.
//
//   T::kRows, T::kColumns        of a tile
//   T::Sixteen                   16 floats
//   T::Words                     a group of a column
//   T::Block                     what decodes the weights of a block
//   T::load(p), T::words(p), T::block(zero, scale)
//   T::next(words, block)        the weights in the low four bits of each word; moves the words on
//   T::fma(a, w, s), T::sum(s)   the latter as nibble.h has it
#pragma once

#include "kernels/floats_x86.h"
#include "kernels/nibble/lists.h"

namespace quaver::kernels {
namespace {

// R rows at a[] times C columns from j on, each block (or what of it a group has) of V times 16 weights.
template <class T, int R, int C, int V>
void tile(const NibbleArgs& args, const float* const (&a)[R], std::size_t i, std::size_t j) {
  const std::size_t groups = nibble_groups(args.k), blocks = nibble_blocks(args.k, args.block);
  typename T::Sixteen acc[R][C] = {};
  for (std::size_t g = 0; g < groups; ++g) {
    typename T::Words words[C];
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) words[c] = T::words(args.w + ((j + c) * groups + g) * kNibbleGroupBytes);
#pragma GCC unroll 8
    for (int first = 0; first < 8; first += V) {
      const std::size_t b = j * blocks + (g * kNibbleGroup + first * 16) / args.block;
      typename T::Block block[C];
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) block[c] = T::block(args.zero[b + c * blocks], args.scale[b + c * blocks]);
#pragma GCC unroll 8
      for (int t = first; t < first + V; ++t) {
        typename T::Sixteen x[R];
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) x[r] = T::load(a[r] + g * kNibbleGroup + t * 16);
#pragma GCC unroll 4
        for (int c = 0; c < C; ++c) {
          const typename T::Sixteen w = T::next(words[c], block[c]);
#pragma GCC unroll 4
          for (int r = 0; r < R; ++r) acc[r][c] = T::fma(x[r], w, acc[r][c]);
        }
      }
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int c = 0; c < C; ++c) {
      const float y = T::sum(acc[r][c]);
      args.c[(i + r) * args.c_stride + j + c] = args.bias ? y + args.bias[j + c] : y;
    }
  }
}

template <class T, int R, int C>
auto tile_of(std::size_t block) {
  switch (block) {
    case 16: return &tile<T, R, C, 1>;
    case 32: return &tile<T, R, C, 2>;
    case 64: return &tile<T, R, C, 4>;
    default: return &tile<T, R, C, 8>;
  }
}

// Rows that end within a group are staged, with zeros behind them.
inline const float* whole_row(const NibbleArgs& args, std::size_t i, std::size_t r) {
  const float* row = args.a + (i + r) * args.a_stride;
  const std::size_t padded = nibble_groups(args.k) * kNibbleGroup;
  if (args.k == padded) return row;
  float* staged = args.scratch + r * padded;
  for (std::size_t p = 0; p < padded; ++p) staged[p] = p < args.k ? row[p] : 0.0F;
  return staged;
}

template <class T, int R>
void rows(const NibbleArgs& args, std::size_t i, std::size_t count) {
  if constexpr (R > 1) {
    if (count < R) return rows<T, R - 1>(args, i, count);
  }
  const float* a[R];
  for (int r = 0; r < R; ++r) a[r] = whole_row(args, i, r);
  const auto wide = tile_of<T, R, T::kColumns>(args.block), narrow = tile_of<T, R, 1>(args.block);
  std::size_t j = 0;
  for (; j + T::kColumns <= args.n; j += T::kColumns) wide(args, a, i, j);
  for (; j < args.n; ++j) narrow(args, a, i, j);
}

template <class T>
void nibble(const NibbleArgs& args) {
  for (std::size_t i = 0; i < args.m; i += T::kRows) {
    rows<T, T::kRows>(args, i, args.m - i < T::kRows ? args.m - i : T::kRows);
  }
}

}  // namespace
}  // namespace quaver::kernels
