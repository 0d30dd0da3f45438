#include "kernels/depthwise/depthwise_f32_tile.h"
#include "kernels/depthwise/depthwise_u8_tile.h"
#include "kernels/gemm/ymm.h"

namespace quaver::kernels {
namespace {

// Exact: taps widened to 16-bit words, 0 beside 2 and 1 beside 3, as the even and odd bytes of a quad of weights lie.
struct Avx2 {
  using V = Ymm;
  static constexpr int kPixels = 4;

  struct Weights {
    __m256i even[2], odd[2];
  };

  static Weights weights(const std::int8_t* w) {
    Weights out;
#pragma GCC unroll 2
    for (int v = 0; v < 2; ++v) {
      const __m256i quads = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w) + v);
      out.even[v] = _mm256_srai_epi16(_mm256_slli_epi16(quads, 8), 8);
      out.odd[v] = _mm256_srai_epi16(quads, 8);
    }
    return out;
  }
  static __m256i add_products(__m256i acc, __m256i words, __m256i w) {
    return _mm256_add_epi32(acc, _mm256_madd_epi16(words, w));
  }
  static void add_pair(__m256i (&acc)[2], Bytes16 a, Bytes16 b, const __m256i (&w)[2]) {
    const __m128i first = reinterpret_cast<__m128i>(a), second = reinterpret_cast<__m128i>(b);
    acc[0] = add_products(acc[0], _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(first, second)), w[0]);
    acc[1] = add_products(acc[1], _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(first, second)), w[1]);
  }
  static void dot(__m256i (&acc)[2], const Bytes16 (&taps)[4], const Weights& w) {
    add_pair(acc, taps[0], taps[2], w.even);
    add_pair(acc, taps[1], taps[3], w.odd);
  }
  static void last(__m256i (&acc)[2], Bytes16 tap, const Weights& w) {
    const __m128i bytes = reinterpret_cast<__m128i>(tap);
    acc[0] = add_products(acc[0], _mm256_cvtepu8_epi32(bytes), w.even[0]);
    acc[1] = add_products(acc[1], _mm256_cvtepu8_epi32(_mm_unpackhi_epi64(bytes, bytes)), w.even[1]);
  }
};

}  // namespace

const DepthwiseU8Kernel depthwise_u8_avx2 = {"depthwise_u8_avx2", Isa::avx2, depthwise_u8<Avx2>};
const DepthwiseF32Kernel depthwise_f32_avx2 = {"depthwise_f32_avx2", Isa::avx2, depthwise_f32<Ymm>};

}  // namespace quaver::kernels
