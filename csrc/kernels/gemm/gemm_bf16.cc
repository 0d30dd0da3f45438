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
    &gemm_bf16_avx2,
    &gemm_bf16_avx512vnni,
#ifndef QUAVER_EMULATED  // which lacks the instruction
    &gemm_bf16_avx512bf16,
#endif
#endif
};

constexpr std::size_t pairs_of(std::size_t k) { return (k + 1) / 2; }

}  // namespace

std::size_t packed_count_bf16(std::size_t n, std::size_t taps, std::size_t k) {
  return (n + kGemmBf16Panel - 1) / kGemmBf16Panel * kGemmBf16Panel * taps * pairs_of(k) * 2;
}

void pack_gemm_bf16(std::size_t n, std::size_t taps, std::size_t k, const float* w, std::uint16_t* out) {
  for (std::size_t panel = 0; panel < n; panel += kGemmBf16Panel) {
    for (std::size_t t = 0; t < taps; ++t) {
      for (std::size_t p = 0; p < 2 * pairs_of(k); p += 2) {
        for (std::size_t j = panel; j < panel + kGemmBf16Panel; ++j, out += 2) {
          const float* from = w + (j * taps + t) * k + p;
          out[0] = j < n ? round_bf16(from[0]) : 0;
          out[1] = j < n && p + 1 < k ? round_bf16(from[1]) : 0;
        }
      }
    }
  }
}

GemmBf16List gemm_bf16_kernels() { return list_of<GemmBf16List>(kKernels); }

// Where there are tiles for bf16, the dot instruction runs at half the rate of two multiply-adds in fp32.
const GemmBf16Kernel& pick_gemm_bf16(IsaSet set) {
  const bool slow = set.has(Isa::amx);
  return pick_where(kKernels, set, [=](const GemmBf16Kernel& one) { return !slow || one.isa != Isa::avx512bf16; });
}

}  // namespace quaver::kernels
