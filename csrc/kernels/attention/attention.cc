#include "kernels/attention/attention.h"

#include "kernels/attention/lists.h"
#include "kernels/pick.h"

namespace quaver::kernels {
namespace {

// In order of rank.
constexpr const AttentionKernel* kKernels[] = {
    &kAttentionF32Scalar, &kAttentionU8Scalar,
#if defined(__x86_64__)
    &kAttentionF32Avx2,   &kAttentionU8Avx2,   &kAttentionU8AvxVnni, &kAttentionF32Avx512Vnni, &kAttentionU8Avx512Vnni,
#endif
};

}  // namespace

AttentionList attention_kernels() { return list_of<AttentionList>(kKernels); }

const AttentionKernel& pick_attention(IsaSet set, bool f32) {
  return pick_where(kKernels, set, [f32](const AttentionKernel& kernel) { return kernel.f32 == f32; });
}

}  // namespace quaver::kernels
