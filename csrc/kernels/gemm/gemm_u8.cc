#include "kernels/gemm/gemm_u8.h"

#include "kernels/gemm/variants.h"
#include "kernels/pick.h"

namespace quaver::kernels {
namespace {

// In order of rank.
constexpr const GemmU8Kernel* kKernels[] = {
    &gemm_u8_scalar,
#if defined(__x86_64__)
    &gemm_u8_avx2,   &gemm_u8_avxvnni, &gemm_u8_avx512vnni,
#ifndef QUAVER_EMULATED  // where no tiles are
    &gemm_u8_amx,
#endif
#elif defined(__aarch64__)
    &gemm_u8_neondot,
#endif
};

std::size_t groups(std::size_t size, std::size_t of) { return (size + of - 1) / of; }

}  // namespace

std::size_t packed_size(GemmU8Layout layout, std::size_t n, std::size_t taps, std::size_t k) {
  return groups(n, layout.nr) * layout.nr * taps * groups(k, layout.kr) * layout.kr;
}

void pack_gemm_u8(GemmU8Layout layout, std::size_t n, std::size_t taps, std::size_t k, const std::int8_t* w,
                  std::int8_t* out) {
  const std::size_t nr = layout.nr, kr = layout.kr;
  for (std::size_t panel = 0; panel < n; panel += nr) {
    for (std::size_t t = 0; t < taps; ++t) {
      for (std::size_t group = 0; group < k; group += kr) {
        for (std::size_t j = panel; j < panel + nr; ++j) {
          for (std::size_t p = group; p < group + kr; ++p) {
            *out++ = j < n && p < k ? w[(j * taps + t) * k + p] : std::int8_t{0};
          }
        }
      }
    }
  }
}

GemmU8List gemm_u8_kernels() { return list_of<GemmU8List>(kKernels); }

const GemmU8Kernel& pick_gemm_u8(IsaSet set, std::size_t m, std::size_t n, std::size_t k, std::size_t taps) {
  return pick_where(kKernels, set, [=](const GemmU8Kernel& one) { return !one.pays || one.pays(m, n, k, taps); });
}

}  // namespace quaver::kernels
