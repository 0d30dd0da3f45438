#include "kernels/depthwise/depthwise_u8_tile.h"
#include "kernels/depthwise/interleave_x86.h"
#include "kernels/gemm/ymm.h"

namespace quaver::kernels {
namespace {

struct AvxVnni {
  using V = Ymm;
  static constexpr int kPixels = 1;

  static const __m256i* weights(const std::int8_t* w) { return reinterpret_cast<const __m256i*>(w); }
  static void dot(__m256i (&acc)[2], const Bytes16 (&taps)[4], const __m256i* w) {
    __m128i quads[4];
    interleave(taps, quads);
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      const __m256i both = _mm256_set_m128i(quads[2 * v + 1], quads[2 * v]);
      acc[v] = _mm256_dpbusd_avx_epi32(acc[v], both, _mm256_loadu_si256(w + v));
    }
  }
  static void last(__m256i (&acc)[2], Bytes16 tap, const __m256i* w) {
    const __m128i bytes = reinterpret_cast<__m128i>(tap);
    acc[0] = _mm256_dpbusd_avx_epi32(acc[0], _mm256_cvtepu8_epi32(bytes), _mm256_loadu_si256(w));
    const __m128i high = _mm_unpackhi_epi64(bytes, bytes);
    acc[1] = _mm256_dpbusd_avx_epi32(acc[1], _mm256_cvtepu8_epi32(high), _mm256_loadu_si256(w + 1));
  }
};

}  // namespace

const DepthwiseU8Kernel depthwise_u8_avxvnni = {"depthwise_u8_avxvnni", Isa::avxvnni, depthwise_u8<AvxVnni>};

}  // namespace quaver::kernels
