#include "kernels/attention/x86_bf16.h"
#include "kernels/attention/x86_bf16_pack.h"

namespace quaver::kernels {

const AttentionKernel kAttentionBf16Avx512Bf16 = {"attention_bf16_avx512bf16", Isa::avx512bf16, AttentionKind::bf16,
                                                  &pack_bf16_stretches, &attention_bf16<gemm_bf16_avx512bf16>};

}  // namespace quaver::kernels
