// Depthwise convolution of u8 activations and s8 weights: channel c of a pixel sees only channel c of its taps.
//
//   acc = bias[c] + Σ_t a(i, t)[c] · w[t][c]                     exact int32
//   then scale, clamps, residual, rounding and zero point as in gemm_u8.h (Output::u8 only)
//
// a(i, t) = a + offsets[i·taps + t], or `pad` (channels zero-point bytes) where that offset is kPad.
// Kernels read exactly `channels` bytes of a row; packed weights, bias and scale are padded with zeros to a
// multiple of kDepthwisePad channels. c may be r itself.
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa/isa.h"
#include "kernels/gemm/gemm_u8.h"

namespace quaver::kernels {

inline constexpr std::size_t kDepthwisePad = 64;

struct DepthwiseU8Args {
  std::size_t pixels = 0, channels = 0, taps = 0;
  const std::uint8_t* a = nullptr;
  const std::int32_t* offsets = nullptr;  // [pixels][taps], bytes from `a`
  const std::uint8_t* pad = nullptr;      // [channels]
  const std::int8_t* w = nullptr;         // packed by pack_depthwise_u8
  const std::int32_t* bias = nullptr;     // [channels]
  const float* scale = nullptr;           // [channels]
  float pre_lo = -3.4e38F, pre_hi = 3.4e38F;
  float lo = -3.4e38F, hi = 3.4e38F;
  std::int32_t zero = 0;
  const std::uint8_t* r = nullptr;  // residual [pixels][channels] or null
  std::size_t r_stride = 0;
  std::int32_t r_zero = 0;
  float r_scale = 0;
  std::uint8_t* c = nullptr;  // [pixels][channels]
  std::size_t c_stride = 0;   // bytes between pixels
};

// `t4c`: taps in groups of 4 (the last padded with zeros); w[t][c] lies at ((t / 4) · channels_padded + c) · 4 + t % 4.
struct DepthwiseU8Kernel {
  const char* name;
  Isa isa;
  void (*run)(const DepthwiseU8Args&);
};

std::size_t packed_size_depthwise_u8(std::size_t channels, std::size_t taps);  // bytes
void pack_depthwise_u8(std::size_t channels, std::size_t taps, const std::int8_t* w,
                       std::int8_t* out);  // w: [taps][channels]

struct DepthwiseU8List {
  const DepthwiseU8Kernel* const* items;
  std::size_t size;
};
DepthwiseU8List depthwise_u8_kernels();
const DepthwiseU8Kernel& pick_depthwise_u8(IsaSet set, std::size_t channels, std::size_t taps);

}  // namespace quaver::kernels
