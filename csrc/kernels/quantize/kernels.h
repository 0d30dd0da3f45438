// The kernels of one instruction set: descriptors made by its file, gathered by lists.cc.
#pragma once

#include "kernels/quantize/quantize.h"

#define QUAVER_QUANTIZE_DECLARE(isa)               \
  namespace quaver::kernels {                      \
  extern const QuantizeKernel kQuantize_##isa;     \
  extern const DequantizeKernel kDequantize_##isa; \
  extern const RangeKernel kRange_##isa;           \
  }

#define QUAVER_QUANTIZE_DEFINE(isa, quantize_run, range_run)                                     \
  namespace quaver::kernels {                                                                    \
  constexpr QuantizeKernel kQuantize_##isa{"quantize_f32_" #isa, Isa::isa, &quantize_run};       \
  constexpr DequantizeKernel kDequantize_##isa{"dequantize_u8_" #isa, Isa::isa, &dequantize_u8}; \
  constexpr RangeKernel kRange_##isa{"range_f32_" #isa, Isa::isa, &range_run};                   \
  }

QUAVER_QUANTIZE_DECLARE(scalar)
QUAVER_QUANTIZE_DECLARE(avx2)
QUAVER_QUANTIZE_DECLARE(avx512vnni)
