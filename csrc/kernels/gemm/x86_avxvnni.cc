#include "kernels/gemm/gemm_u8_direct.h"
#include "kernels/gemm/variants.h"
#include "kernels/gemm/ymm.h"

namespace quaver::kernels {
namespace {

struct AvxVnni {
  using V = Ymm;
  using Half = AvxVnni;
  static constexpr std::size_t kRows = 6;
  static constexpr int vectors(int rows) { return rows <= 2 ? 4 : 2; }

  template <int R, int N>
  static void dot(__m256i (&acc)[R][N], const std::uint8_t* const (&a)[R], std::size_t at,
                  const std::int8_t* const (&w)[N]) {
    __m256i quads[N];
#pragma GCC unroll 16
    for (int v = 0; v < N; ++v) quads[v] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w[v]));
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const __m256i row = _mm256_set1_epi32(read<std::int32_t>(a[r] + at));
#pragma GCC unroll 16
      for (int v = 0; v < N; ++v) acc[r][v] = _mm256_dpbusd_avx_epi32(acc[r][v], row, quads[v]);
    }
  }
};

}  // namespace

const GemmU8Kernel gemm_u8_avxvnni = {"gemm_u8_avxvnni_6x16", Isa::avxvnni, {}, 6, 16, gemm_u8_direct<AvxVnni>};

}  // namespace quaver::kernels
