#include "kernels/gemm/gemm_f32_tile.h"
#include "kernels/gemm/gemm_u8_tile.h"
#include "kernels/gemm/variants.h"
#include "kernels/gemm/zmm.h"

namespace quaver::kernels {
namespace {

struct Avx512Vnni {
  using V = Zmm;
  static constexpr int kRows = 7, kVectors = 2;
  static constexpr std::size_t kQuadBytes = 4;

  static void stage(std::uint8_t* to, Bytes16 bytes) { __builtin_memcpy(to, &bytes, 16); }
  template <int R, int N>
  static void dot(__m512i (&acc)[R][N], const std::uint8_t* a, std::size_t stride, const std::int8_t* const (&w)[N]) {
    __m512i quads[N];
#pragma GCC unroll 16
    for (int v = 0; v < N; ++v) quads[v] = _mm512_loadu_si512(w[v]);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const __m512i row = _mm512_set1_epi32(read<std::int32_t>(a + r * stride));
#pragma GCC unroll 16
      for (int v = 0; v < N; ++v) acc[r][v] = _mm512_dpbusd_epi32(acc[r][v], row, quads[v]);
    }
  }
  template <int N>
  static void start(__m512i (&)[N], const std::int8_t*, std::size_t, std::size_t) {}
};

}  // namespace

const GemmU8Kernel gemm_u8_avx512vnni = {"gemm_u8_avx512vnni_7x32", Isa::avx512vnni, {}, 7, 32, gemm_u8<Avx512Vnni>};
const GemmF32Kernel gemm_f32_avx512vnni = {"gemm_f32_avx512vnni_7x32", Isa::avx512vnni, 7, 32, gemm_f32<Zmm, 7, 2>};

}  // namespace quaver::kernels
