#include "kernels/attention/attention.h"

#include "kernels/attention/lists.h"
#include "kernels/pick.h"

namespace quaver::kernels {
namespace {

// In order of rank.
constexpr const AttentionKernel* kKernels[] = {
    &kAttentionF32Scalar,      &kAttentionBf16Scalar,     &kAttentionU8Scalar,
#if defined(__x86_64__)
    &kAttentionF32Avx2,        &kAttentionBf16Avx2,       &kAttentionU8Avx2,       &kAttentionU8AvxVnni,
    &kAttentionF32Avx512Vnni,  &kAttentionBf16Avx512Vnni, &kAttentionU8Avx512Vnni,
#ifndef QUAVER_EMULATED  // which lacks the instructions
    &kAttentionBf16Avx512Bf16, &kAttentionBf16Amx,
#endif
#endif
};

}  // namespace

AttentionList attention_kernels() { return list_of<AttentionList>(kKernels); }

const AttentionKernel& pick_attention(IsaSet set, AttentionKind kind) {
  return pick_where(kKernels, set, [kind](const AttentionKernel& kernel) { return kernel.kind == kind; });
}

}  // namespace quaver::kernels
