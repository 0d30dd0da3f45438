// Weights of four bits in panels of 16 columns: multiplied by rows of bytes, or made reals a panel at a time for fp32
// products of many rows. Blocks, scales and zero points as in nibble.h; blocks past k are none here.
//
// For a row a of k floats, in blocks b = p / block, with m the greatest |a[p]| of a block:
//
//   step[b] = m / 127, f = 127 / m; both 0 where m < 2^-100; NaN where a NaN is in the block
//   q[p]    = rne(a[p] · f), 0 where that is NaN or p ≥ k;  sum[b] = Σ q[p]
//
// For row i < m and column j < n:
//
//   y       = 0; for b in order: y = fma(float(Σ_p q[i][p] · (w[j][p] − zero[j][b])), step[i][b] · scale[j][b], y)
//   c[i][j] = y, or y + bias[j] where a bias is given
//
// Sums within a block are exact. As reals a panel's weights are float(w[j][p] − zero[j][b]) · scale[j][b], where
// gemm_f32 expects them: at p · 16 + j % 16.
//
// Every operation is one IEEE single operation in the order written.
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa/isa.h"

namespace quaver::kernels {

// Panel by panel, block by block, in groups of 8 along k: 4 bytes for each of 16 columns, the t-th with the group's
// values t and t + 4 in its low and its high half. Scales and zero points lie as [panel][block][16].
inline constexpr std::size_t kNibblePanel = 16, kNibbleStep = 8;

struct NibblePanels {
  std::size_t n = 0, k = 0, block = 32;  // a power of two, 16 at least

  std::size_t panels() const { return (n + kNibblePanel - 1) / kNibblePanel; }
  std::size_t blocks() const { return (k + block - 1) / block; }
  std::size_t panel_bytes() const { return blocks() * block * kNibblePanel / 2; }
};

struct NibbleRowArgs {
  std::size_t k = 0, block = 32;
  const float* a = nullptr;
  std::int8_t* q = nullptr;  // [blocks · block]
  float* step = nullptr;     // [blocks]
  std::int32_t* sum = nullptr;
};

struct NibblePanelArgs {
  NibblePanels shape;
  std::size_t m = 0;
  const std::int8_t* q = nullptr;  // [m][blocks · block]
  const float* step = nullptr;     // [m][blocks]
  const std::int32_t* sum = nullptr;
  const std::uint8_t* w = nullptr;
  const float* scale = nullptr;
  const std::uint8_t* zero = nullptr;  // each below 16
  const float* bias = nullptr;         // [n] or null
  float* c = nullptr;
  std::size_t c_stride = 0;  // in floats
};

struct NibblePanelKernel {
  const char* name;
  Isa isa;
  void (*quantize)(const NibbleRowArgs&);
  void (*run)(const NibblePanelArgs&);
  // Panel `panel` of args as reals, [k][16].
  void (*reals)(const NibblePanelArgs& args, std::size_t panel, float* out);
};

// From ONNX's [n][ceil(k / block)][block / 2] bytes, the even element in the low half.
void pack_nibble_panels(const NibblePanels& shape, const std::uint8_t* from, std::uint8_t* to);

struct NibblePanelList {
  const NibblePanelKernel* const* items;
  std::size_t size;
};
NibblePanelList nibble_panel_kernels();
const NibblePanelKernel& pick_nibble_panels(IsaSet set);

}  // namespace quaver::kernels
