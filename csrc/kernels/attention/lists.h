// The kernels of each file, gathered by attention.cc.
#pragma once

#include "kernels/attention/attention.h"

namespace quaver::kernels {

extern const AttentionKernel kAttentionF32Scalar, kAttentionU8Scalar;
extern const AttentionKernel kAttentionF32Avx2, kAttentionU8Avx2, kAttentionU8AvxVnni;
extern const AttentionKernel kAttentionF32Avx512Vnni, kAttentionU8Avx512Vnni;

}  // namespace quaver::kernels
