// Products of fp32 rows and weights of four bits with a scale for each block of a column, which stay four bits wide in
// memory: for few rows what counts is how many bytes of weights go by.
//
// For row i < m and column j < n, with a[i][p] = 0 for p ≥ k, in blocks b = p / block:
//
//   w    = float(q[j][p] − zero[j][b]) · scale[j][b]
//   s    = 0; for p in order: lane l = p mod 16: s[l] = fma(a[i][p], w, s[l])
//   y    = for h in 8, 4, 2, 1: s[l] = s[l] + s[l + h]; s[0]
//   c[i][j] = y, or y + bias[j] where a bias is given
//
// Every operation is one IEEE single operation in the order written. Kernels read k floats of a row and whole groups of
// weights.
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa/isa.h"

namespace quaver::kernels {

// A group of a column's weights is 128 along k in 16 words: word l has p = 16 t + l in its t-th four bits.
inline constexpr std::size_t kNibbleGroup = 128, kNibbleGroupBytes = 64;
inline constexpr std::size_t kNibbleRows = 4;  // rows that share a decoded weight, at most

constexpr std::size_t nibble_groups(std::size_t k) { return (k + kNibbleGroup - 1) / kNibbleGroup; }
// Scales and zero points of a column, for all of its groups; those of no weight are 0.
constexpr std::size_t nibble_blocks(std::size_t k, std::size_t block) {
  return (nibble_groups(k) * kNibbleGroup + block - 1) / block;
}

struct NibbleArgs {
  std::size_t m = 0, n = 0, k = 0;
  std::size_t block = 32;  // a power of two, 16 at least
  const float* a = nullptr;
  std::size_t a_stride = 0;            // in floats
  const std::uint8_t* w = nullptr;     // [n][groups][64], packed by pack_nibbles
  const float* scale = nullptr;        // [n][nibble_blocks]
  const std::uint8_t* zero = nullptr;  // likewise, each below 16
  const float* bias = nullptr;         // [n] or null
  float* scratch = nullptr;            // kNibbleRows rows of whole groups
  float* c = nullptr;
  std::size_t c_stride = 0;  // in floats
};

struct NibbleKernel {
  const char* name;
  Isa isa;
  void (*run)(const NibbleArgs&);
};

// From ONNX's [n][ceil(k / block)][block / 2] bytes, the even element in the low half.
void pack_nibbles(std::size_t n, std::size_t k, std::size_t block, const std::uint8_t* from, std::uint8_t* to);

struct NibbleList {
  const NibbleKernel* const* items;
  std::size_t size;
};
NibbleList nibble_kernels();
const NibbleKernel& pick_nibble(IsaSet set);

}  // namespace quaver::kernels
