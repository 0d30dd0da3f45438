// Depthwise convolution of u8 activations and s8 weights: channel c of a pixel sees only channel c of its taps.
//
//   acc = bias[c] + Σ_x Σ_y a(i · step + x · dilation, y)[c] · w[o][y][x][c]   y < rows, x < columns; exact int32
//   then scale, clamps, residual, rounding and zero point as in gemm_u8.h (Output::u8, or Output::f32 without a
//   residual)
//
// for each output o < outputs, c_apart bytes from the next (in r as well): rows of pixels whose windows overlap, with
// zero weights where a window does not see a row. Their bytes are brought together once for all of them.
//
// a(j, y) = a + offsets[j · rows + y], or `pad` (channels zero-point bytes) where that offset is kPad: what row y of
// the window sees in column j. Neighbouring pixels share columns, so a kernel need prepare each of them only once.
// Kernels read exactly `channels` bytes of a row; packed weights, bias and scale are padded with zeros to a
// multiple of kDepthwisePad channels. c may be r itself. Where `lanes` is set, all three lie in that order (below).
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa/isa.h"
#include "kernels/gemm/gemm_u8.h"

namespace quaver::kernels {

inline constexpr std::size_t kDepthwisePad = 64;

struct DepthwiseU8Args {
  std::size_t pixels = 0, channels = 0;
  std::size_t rows = 1, columns = 1;  // of the window
  std::size_t outputs = 1, c_apart = 0;
  std::size_t step = 1, dilation = 1;  // columns of `offsets` from pixel to pixel, and from x to x + 1
  const std::uint8_t* a = nullptr;
  const std::int32_t* offsets = nullptr;  // [(pixels − 1) · step + (columns − 1) · dilation + 1][rows], bytes from `a`
  const std::uint8_t* pad = nullptr;      // [channels]
  const std::int8_t* w = nullptr;         // [outputs], each packed by pack_depthwise_u8
  const std::int32_t* bias = nullptr;     // [channels]
  const float* scale = nullptr;           // [channels]
  float pre_lo = -3.4e38F, pre_hi = 3.4e38F;
  float lo = -3.4e38F, hi = 3.4e38F;
  std::int32_t zero = 0;
  const std::uint8_t* r = nullptr;  // residual [pixels][channels] or null
  std::size_t r_stride = 0;
  std::int32_t r_zero = 0;
  float r_scale = 0;
  bool bounded = false;  // is_bounded(args), found once for all calls; where false a kernel may take longer
  bool lanes = false;    // a window that the kernel takes in that layout
  Output output = Output::u8;
  void* c = nullptr;         // [pixels][channels]
  std::size_t c_stride = 0;  // bytes between pixels
};

// Layouts of weights. `t4c`: column after column, the rows of each in groups of 4 (the last padded with zeros):
// w[y][x][c] lies at
// ((x · ceil(rows / 4) + y / 4) · channels_padded + c) · 4 + y % 4.
//
// `lanes`: for windows of 3 × 3 and 5 × 5, as bytes of 64 channels lie in a vector when unpacking by bytes and then by
// words has brought four taps together. Vector k of 4 holds in its 128-bit lane l the channels 16 · l + 4 · k + {0 …
// 3}; of a strip of 64 channels come all such vectors of its dots, one dot after the other. Dots 0 … side − 1 are of a
// column of 3 or 4 taps; for 5 × 5 dot 5 is of the first four taps of the last row, and dot 6 of its last tap, which
// lies at 4 − step among four columns that begin `step` further right. A last strip of 32 channels or fewer holds them
// twice, of 16 or fewer four times (`places`): as many pixels are then done at once.
struct DepthwiseU8Kernel {
  const char* name;
  Isa isa;
  bool lanes;            // takes that layout, for bounded sums of one output without a residual
  std::size_t products;  // instructions that multiply a whole group of 4 rows; one row takes one
  void (*run)(const DepthwiseU8Args&);
};

// How many outputs, `step` rows apart, can share what is brought together for windows of so many rows without a
// multiplication more for each.
constexpr std::size_t shared_outputs(std::size_t rows, std::size_t step, std::size_t products) {
  const auto least = [=](std::size_t n) { return n < products ? n : products; };
  const auto count = [=](std::size_t n) { return n / 4 * products + least(n % 4); };
  std::size_t outputs = 1;
  while (count(rows + outputs * step) == count(rows)) ++outputs;
  return outputs;
}

std::size_t packed_size_depthwise_u8(std::size_t channels, std::size_t rows, std::size_t columns);  // bytes
void pack_depthwise_u8(std::size_t channels, std::size_t rows, std::size_t columns, const std::int8_t* w,
                       std::int8_t* out);  // w: [rows][columns][channels]

inline constexpr std::size_t kDepthwiseStrip = 64;  // channels
constexpr bool fits_lanes(std::size_t rows, std::size_t columns, std::size_t step, std::size_t dilation) {
  return rows == columns && (rows == 3 || rows == 5) && step <= 2 && dilation == 1;
}
constexpr std::size_t lane_dots(std::size_t side) { return side == 3 ? 3 : 7; }
constexpr std::size_t places(std::size_t channels_left) {
  return channels_left <= 16 ? 4 : channels_left <= 32 ? 2 : 1;
}
std::size_t packed_size_lanes(std::size_t channels, std::size_t side);  // bytes
void pack_lanes(std::size_t channels, std::size_t side, std::size_t step, const std::int8_t* w,
                std::int8_t* out);  // w: [side][side][channels]
// The channel of the n-th value of a bias or scale in that order, and how many there are; past the last channel where
// there is none.
constexpr std::size_t lane_channel(std::size_t channels, std::size_t n) {
  const std::size_t strip = n / kDepthwiseStrip * kDepthwiseStrip, i = n % kDepthwiseStrip, left = channels - strip;
  const std::size_t at = i / 4 % 4 * 16 + i / 16 * 4 + i % 4, c = at % (kDepthwiseStrip / places(left));
  return c < left ? strip + c : channels;
}
constexpr std::size_t lane_values(std::size_t channels) {
  return (channels + kDepthwiseStrip - 1) / kDepthwiseStrip * kDepthwiseStrip;
}

// Whether every sum, however large the activations and weights, is brought by its scale to a float whose integer
// exists, where it is to be one. No real layer fails this.
bool is_bounded(const DepthwiseU8Args& args);

struct DepthwiseU8List {
  const DepthwiseU8Kernel* const* items;
  std::size_t size;
};
DepthwiseU8List depthwise_u8_kernels();
const DepthwiseU8Kernel& pick_depthwise_u8(IsaSet set);

}  // namespace quaver::kernels
