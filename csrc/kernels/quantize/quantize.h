// fp32 to bytes and back. Scales and zero points are one for the whole run (step 0) or one per element (step 1: a row
// of channels, the last axis); zero = zero_point[i · step] lies in [0, 255]. A byte stored as s8 is the u8 one xor 0x80
// with its zero point moved by 128: then `flip` is 0x80.
//
// quantize_f32:    t    = x[i] / scale[i · step]                 true division; a NaN t counts as 0
//                  y[i] = (rne(min(max(t, −zero), 255 − zero)) + zero) xor flip
// dequantize_u8:   y[i] = float((x[i] xor flip) − zero) · scale[i · step]
// range_f32:       the least and the greatest of 0 and all x[i]; NaN is passed over
//
// Every operation is one IEEE single operation in the order written. x and y do not overlap.
//
// Who quantizes many rows by the same scales brings their inverses along, each 1 / scale[i] for a scale between 2^-100
// and 2^100, and one zero point for all: that changes no byte, only the time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa/isa.h"

namespace quaver::kernels {

struct QuantizeArgs {
  std::size_t n = 0;
  const float* x = nullptr;
  const float* scale = nullptr;
  const std::int32_t* zero_point = nullptr;
  std::size_t step = 0;
  std::uint8_t flip = 0;
  std::uint8_t* y = nullptr;
  const float* inverse = nullptr;  // step 1, or null
};

struct QuantizeKernel {
  const char* name;  // "quantize_f32_avx2"
  Isa isa;
  void (*run)(const QuantizeArgs&);
};

struct DequantizeArgs {
  std::size_t n = 0;
  const std::uint8_t* x = nullptr;
  const float* scale = nullptr;
  const std::int32_t* zero_point = nullptr;
  std::size_t step = 0;
  std::uint8_t flip = 0;
  float* y = nullptr;
};

struct DequantizeKernel {
  const char* name;
  Isa isa;
  void (*run)(const DequantizeArgs&);
};

struct RangeArgs {
  std::size_t n = 0;
  const float* x = nullptr;
  float* least = nullptr;
  float* greatest = nullptr;
};

struct RangeKernel {
  const char* name;
  Isa isa;
  void (*run)(const RangeArgs&);
};

// All kernels built in, the scalar definition first, and the best of `set`.
struct QuantizeList {
  const QuantizeKernel* const* items;
  std::size_t size;
};
QuantizeList quantize_kernels();
const QuantizeKernel& pick_quantize(IsaSet set);

struct DequantizeList {
  const DequantizeKernel* const* items;
  std::size_t size;
};
DequantizeList dequantize_kernels();
const DequantizeKernel& pick_dequantize(IsaSet set);

struct RangeList {
  const RangeKernel* const* items;
  std::size_t size;
};
RangeList range_kernels();
const RangeKernel& pick_range(IsaSet set);

}  // namespace quaver::kernels
