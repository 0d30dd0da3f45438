#include "kernels/move/transpose.h"

#include "kernels/move/lists.h"
#include "kernels/pick.h"

namespace quaver::kernels {
namespace {

constexpr const TransposeKernel* kKernels[] = {
    &kTransposeScalar[0], &kTransposeScalar[1], &kTransposeScalar[2], &kTransposeScalar[3],
#if defined(__x86_64__)
    &kTransposeAvx2[0],   &kTransposeAvx2[1],
#endif
};

}  // namespace

TransposeList transpose_kernels() { return list_of<TransposeList>(kKernels); }

const TransposeKernel& pick_transpose(IsaSet set, std::size_t element) {
  return pick_where(kKernels, set, [element](const TransposeKernel& kernel) { return kernel.element == element; });
}

}  // namespace quaver::kernels
