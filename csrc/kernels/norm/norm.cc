#include "kernels/norm/norm.h"

#include "kernels/norm/lists.h"
#include "kernels/pick.h"

namespace quaver::kernels {
namespace {

constexpr const LayerNormKernel* kKernels[] = {
    &kLayerNormScalar,
#if defined(__x86_64__)
    &kLayerNormAvx2,
    &kLayerNormAvx512Vnni,
#endif
};

}  // namespace

LayerNormList layer_norm_kernels() { return list_of<LayerNormList>(kKernels); }
const LayerNormKernel& pick_layer_norm(IsaSet set) { return pick_best(kKernels, set); }

}  // namespace quaver::kernels
