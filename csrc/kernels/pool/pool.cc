#include "kernels/pool/pool.h"

#include "kernels/pick.h"
#include "kernels/pool/lists.h"

namespace quaver::kernels {
namespace {

constexpr const PoolKernel* kKernels[] = {
    &kPoolScalar[0],     &kPoolScalar[1],     &kPoolScalar[2],     &kPoolScalar[3],
#if defined(__x86_64__)
    &kPoolAvx2[0],       &kPoolAvx2[1],       &kPoolAvx2[2],       &kPoolAvx2[3],
    &kPoolAvx512Vnni[0], &kPoolAvx512Vnni[1], &kPoolAvx512Vnni[2], &kPoolAvx512Vnni[3],
#endif
};

}  // namespace

PoolList pool_kernels() { return list_of<PoolList>(kKernels); }

const PoolKernel& pick_pool(IsaSet set, PoolKind kind) {
  return pick_where(kKernels, set, [kind](const PoolKernel& kernel) { return kernel.kind == kind; });
}

}  // namespace quaver::kernels
