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
  static __m512i weights(const std::int8_t* w) { return _mm512_loadu_si512(w); }
  template <int N>
  static void dot(__m512i (&acc)[N], const std::uint8_t* quad, const __m512i (&b)[N]) {
#pragma GCC unroll 4
    for (int v = 0; v < N; ++v) acc[v] = _mm512_dpbusd_epi32(acc[v], _mm512_set1_epi32(read<std::int32_t>(quad)), b[v]);
  }
  template <int N>
  static void start(__m512i (&)[N], const std::int8_t*, std::size_t, std::size_t) {}
};

}  // namespace

const GemmU8Kernel gemm_u8_avx512vnni = {"gemm_u8_avx512vnni_7x32", Isa::avx512vnni, {}, 7, 32, gemm_u8<Avx512Vnni>};
const GemmF32Kernel gemm_f32_avx512vnni = {"gemm_f32_avx512vnni_7x32", Isa::avx512vnni, 7, 32, gemm_f32<Zmm, 7, 2>};

}  // namespace quaver::kernels
