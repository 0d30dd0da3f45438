// The kernels of each file, gathered by attention.cc.
#pragma once

#include "kernels/attention/attention.h"

namespace quaver::kernels {

extern const AttentionKernel kAttentionF32Scalar, kAttentionBf16Scalar, kAttentionU8Scalar;
extern const AttentionKernel kAttentionF32Avx2, kAttentionBf16Avx2, kAttentionU8Avx2, kAttentionU8AvxVnni;
extern const AttentionKernel kAttentionF32Avx512Vnni, kAttentionBf16Avx512Vnni, kAttentionU8Avx512Vnni;
extern const AttentionKernel kAttentionBf16Avx512Bf16, kAttentionBf16Amx;

}  // namespace quaver::kernels
