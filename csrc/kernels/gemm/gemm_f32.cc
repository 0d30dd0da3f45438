#include "kernels/gemm/gemm_f32.h"

#include "kernels/gemm/variants.h"
#include "kernels/pick.h"

namespace quaver::kernels {
namespace {

// In order of rank.
constexpr const GemmF32Kernel* kKernels[] = {
    &gemm_f32_scalar,
#if defined(__x86_64__)
    &gemm_f32_avx2,
    &gemm_f32_avx512vnni,
#elif defined(__aarch64__)
    &gemm_f32_neondot,
#endif
};

}  // namespace

std::size_t packed_count_f32(std::size_t n, std::size_t taps, std::size_t k) {
  return (n + kGemmF32Panel - 1) / kGemmF32Panel * kGemmF32Panel * taps * k;
}

void pack_gemm_f32(std::size_t n, std::size_t taps, std::size_t k, const float* w, float* out) {
  for (std::size_t panel = 0; panel < n; panel += kGemmF32Panel) {
    for (std::size_t p = 0; p < taps * k; ++p) {
      for (std::size_t j = panel; j < panel + kGemmF32Panel; ++j) *out++ = j < n ? w[j * taps * k + p] : 0.0F;
    }
  }
}

GemmF32List gemm_f32_kernels() { return list_of<GemmF32List>(kKernels); }

const GemmF32Kernel& pick_gemm_f32(IsaSet set, std::size_t, std::size_t, std::size_t) {
  return pick_best(kKernels, set);
}

}  // namespace quaver::kernels
