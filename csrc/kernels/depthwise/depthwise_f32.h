// Depthwise convolution in fp32: y = bias[c]; for t in order: y = fma(a(i, t)[c], w[t][c], y); clamps and residual as
// in gemm_f32.h. Rows as in depthwise_u8.h. w, bias: [taps][channels], [channels], unpadded; kernels read inside them
// only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa/isa.h"
#include "kernels/gemm/gemm_u8.h"

namespace quaver::kernels {

struct DepthwiseF32Args {
  std::size_t pixels = 0, channels = 0, taps = 0;
  const float* a = nullptr;
  const std::int32_t* offsets = nullptr;  // [pixels][taps], bytes from `a`
  const float* pad = nullptr;             // [channels] zeros
  const float* w = nullptr;               // [taps][channels]
  const float* bias = nullptr;            // [channels]
  float pre_lo = -__builtin_inff(), pre_hi = __builtin_inff();
  float lo = -__builtin_inff(), hi = __builtin_inff();
  const float* r = nullptr;  // residual or null
  std::size_t r_stride = 0;  // bytes
  float* c = nullptr;
  std::size_t c_stride = 0;  // bytes between pixels
};

struct DepthwiseF32Kernel {
  const char* name;
  Isa isa;
  void (*run)(const DepthwiseF32Args&);
};

struct DepthwiseF32List {
  const DepthwiseF32Kernel* const* items;
  std::size_t size;
};
DepthwiseF32List depthwise_f32_kernels();
const DepthwiseF32Kernel& pick_depthwise_f32(IsaSet set);

}  // namespace quaver::kernels
