// The kernels of this folder, one per instruction set and element type; each is defined in the file named after its
// set.
#pragma once

#include "kernels/depthwise/depthwise_f32.h"
#include "kernels/depthwise/depthwise_u8.h"

namespace quaver::kernels {

extern const DepthwiseU8Kernel depthwise_u8_scalar, depthwise_u8_avx2, depthwise_u8_avxvnni, depthwise_u8_avx512vnni,
    depthwise_u8_avx512vbmi, depthwise_u8_neondot;
void depthwise_u8_lanes(const DepthwiseU8Args& g);  // by 512-bit dots
extern const DepthwiseF32Kernel depthwise_f32_scalar, depthwise_f32_avx2, depthwise_f32_avx512vnni,
    depthwise_f32_neondot;

}  // namespace quaver::kernels
