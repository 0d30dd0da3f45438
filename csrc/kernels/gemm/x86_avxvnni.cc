#include "kernels/gemm/gemm_u8_tile.h"
#include "kernels/gemm/variants.h"
#include "kernels/gemm/ymm.h"

namespace quaver::kernels {
namespace {

struct AvxVnni {
  using V = Ymm;
  static constexpr int kRows = 6, kVectors = 2;
  static constexpr std::size_t kQuadBytes = 4;

  static void stage(std::uint8_t* to, Bytes16 bytes) { __builtin_memcpy(to, &bytes, 16); }
  static __m256i weights(const std::int8_t* w) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w)); }
  template <int N>
  static void dot(__m256i (&acc)[N], const std::uint8_t* quad, const __m256i (&b)[N]) {
#pragma GCC unroll 4
    for (int v = 0; v < N; ++v)
      acc[v] = _mm256_dpbusd_avx_epi32(acc[v], _mm256_set1_epi32(read<std::int32_t>(quad)), b[v]);
  }
  template <int N>
  static void start(__m256i (&)[N], const std::int8_t*, std::size_t, std::size_t) {}
};

}  // namespace

const GemmU8Kernel gemm_u8_avxvnni = {"gemm_u8_avxvnni_6x16", Isa::avxvnni, {}, 6, 16, gemm_u8<AvxVnni>};

}  // namespace quaver::kernels
