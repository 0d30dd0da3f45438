#include "kernels/reduce/reduce.h"

#include "kernels/pick.h"
#include "kernels/reduce/lists.h"

namespace quaver::kernels {
namespace {

constexpr const ReduceKernel* kKernels[] = {
    &kReduceScalar[0],     &kReduceScalar[1],     &kReduceScalar[2],     &kReduceScalar[3],
#if defined(__x86_64__)
    &kReduceAvx2[0],       &kReduceAvx2[1],       &kReduceAvx2[2],       &kReduceAvx2[3],
    &kReduceAvx512Vnni[0], &kReduceAvx512Vnni[1], &kReduceAvx512Vnni[2], &kReduceAvx512Vnni[3],
#endif
};

}  // namespace

ReduceList reduce_kernels() { return list_of<ReduceList>(kKernels); }

const ReduceKernel& pick_reduce(IsaSet set, ReduceKind kind) {
  return pick_where(kKernels, set, [kind](const ReduceKernel& kernel) { return kernel.kind == kind; });
}

}  // namespace quaver::kernels
