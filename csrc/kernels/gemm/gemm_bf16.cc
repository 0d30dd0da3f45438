#include "kernels/gemm/gemm_bf16.h"

#include "kernels/gemm/bf16.h"
#include "kernels/gemm/variants.h"
#include "kernels/pick.h"

namespace quaver::kernels {
namespace {

// In order of rank.
constexpr const GemmBf16Kernel* kKernels[] = {
    &gemm_bf16_scalar,
#if defined(__x86_64__)
    &gemm_bf16_avx2,       &gemm_bf16_avx512vnni,
#ifndef QUAVER_EMULATED  // which lacks the instructions
    &gemm_bf16_avx512bf16, &gemm_bf16_amx,
#endif
#endif
};

}  // namespace

std::size_t packed_count_bf16(std::size_t n, std::size_t taps, std::size_t k) {
  return (n + kGemmBf16Panel - 1) / kGemmBf16Panel * bf16_stretches(taps, k) * kBf16Pairs * 2 * kGemmBf16Panel;
}

void pack_gemm_bf16(std::size_t n, std::size_t taps, std::size_t k, const float* w, std::uint16_t* out) {
  const std::size_t panel = packed_count_bf16(1, taps, k), tap_pairs = (k + 1) / 2;
  __builtin_memset(out, 0, packed_count_bf16(n, taps, k) * sizeof *out);
  for (std::size_t j = 0; j < n; ++j) {
    std::uint16_t* column = out + j / kGemmBf16Panel * panel + j % kGemmBf16Panel * 2;
    for (std::size_t t = 0; t < taps; ++t) {
      for (std::size_t p = 0; p < k; ++p, ++w) column[bf16_place(t * tap_pairs + p / 2, p % 2)] = round_bf16(*w);
    }
  }
}

GemmBf16List gemm_bf16_kernels() { return list_of<GemmBf16List>(kKernels); }

const GemmBf16Kernel& pick_gemm_bf16(IsaSet set) { return pick_best(kKernels, set); }

}  // namespace quaver::kernels
