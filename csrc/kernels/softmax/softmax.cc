#include "kernels/softmax/softmax.h"

#include "kernels/pick.h"
#include "kernels/softmax/lists.h"

namespace quaver::kernels {
namespace {

constexpr const SoftmaxKernel* kKernels[] = {
    &kSoftmaxScalar,
#if defined(__x86_64__)
    &kSoftmaxAvx2,
    &kSoftmaxAvx512Vnni,
#endif
};

}  // namespace

SoftmaxList softmax_kernels() { return list_of<SoftmaxList>(kKernels); }
const SoftmaxKernel& pick_softmax(IsaSet set) { return pick_best(kKernels, set); }

}  // namespace quaver::kernels
