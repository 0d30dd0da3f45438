// The kernels of this folder, one per instruction set and element type; each is defined in the file named after its
// set.
#pragma once

#include "kernels/gemm/gemm_bf16.h"
#include "kernels/gemm/gemm_f32.h"
#include "kernels/gemm/gemm_u8.h"

namespace quaver::kernels {

extern const GemmU8Kernel gemm_u8_scalar, gemm_u8_avx2, gemm_u8_avxvnni, gemm_u8_avx512vnni, gemm_u8_amx,
    gemm_u8_neondot;
extern const GemmF32Kernel gemm_f32_scalar, gemm_f32_avx2, gemm_f32_avx512vnni, gemm_f32_neondot;
extern const GemmBf16Kernel gemm_bf16_scalar, gemm_bf16_avx2, gemm_bf16_avx512vnni, gemm_bf16_avx512bf16, gemm_bf16_amx;

}  // namespace quaver::kernels
