#include "kernels/resize/resize.h"

#include "kernels/pick.h"
#include "kernels/resize/lists.h"

namespace quaver::kernels {
namespace {

constexpr const ResizeKernel* kKernels[] = {
    &kResizeScalar[0], &kResizeScalar[1],
#if defined(__x86_64__)
    &kResizeAvx2[0],   &kResizeAvx2[1],   &kResizeAvx512Vnni[0], &kResizeAvx512Vnni[1],
#endif
};

}  // namespace

ResizeList resize_kernels() { return list_of<ResizeList>(kKernels); }

const ResizeKernel& pick_resize(IsaSet set, ResizeKind kind) {
  return pick_where(kKernels, set, [kind](const ResizeKernel& kernel) { return kernel.kind == kind; });
}

}  // namespace quaver::kernels
