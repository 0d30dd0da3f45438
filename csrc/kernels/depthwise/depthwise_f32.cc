#include "kernels/depthwise/depthwise_f32.h"

#include "kernels/depthwise/variants.h"
#include "kernels/pick.h"

namespace quaver::kernels {
namespace {

// In order of rank.
constexpr const DepthwiseF32Kernel* kKernels[] = {
    &depthwise_f32_scalar,
#if defined(__x86_64__)
    &depthwise_f32_avx2,
    &depthwise_f32_avx512vnni,
#elif defined(__aarch64__)
    &depthwise_f32_neondot,
#endif
};

}  // namespace

DepthwiseF32List depthwise_f32_kernels() { return list_of<DepthwiseF32List>(kKernels); }

const DepthwiseF32Kernel& pick_depthwise_f32(IsaSet set) { return pick_best(kKernels, set); }

}  // namespace quaver::kernels
