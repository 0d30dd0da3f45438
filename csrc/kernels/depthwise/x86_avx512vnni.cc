#include "kernels/depthwise/depthwise_f32_tile.h"
#include "kernels/depthwise/depthwise_u8_tile.h"
#include "kernels/gemm/zmm.h"

namespace quaver::kernels {
namespace {

struct Avx512Vnni {
  using V = Zmm;
  static constexpr int kPixels = 1;

  static const std::int8_t* weights(const std::int8_t* w) { return w; }
  // One tap per 128-bit lane; words of 4 channels change places with lanes, then bytes with words.
  static void dot(__m512i (&acc)[1], const Bytes16 (&taps)[4], const std::int8_t* w) {
    const auto tap = [&](int t) { return reinterpret_cast<__m128i>(taps[t]); };
    __m512i all = _mm512_castsi128_si512(tap(0));
    all = _mm512_inserti32x4(all, tap(1), 1);
    all = _mm512_inserti32x4(all, tap(2), 2);
    all = _mm512_inserti32x4(all, tap(3), 3);
    const __m512i words = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i bytes = _mm512_set4_epi32(0x0F0B0703, 0x0E0A0602, 0x0D090501, 0x0C080400);
    const __m512i quads = _mm512_shuffle_epi8(_mm512_permutexvar_epi32(words, all), bytes);
    acc[0] = _mm512_dpbusd_epi32(acc[0], quads, _mm512_loadu_si512(w));
  }
  static void last(__m512i (&acc)[1], Bytes16 tap, const std::int8_t* w) {
    const __m512i quads = _mm512_cvtepu8_epi32(reinterpret_cast<__m128i>(tap));
    acc[0] = _mm512_dpbusd_epi32(acc[0], quads, _mm512_loadu_si512(w));
  }
};

}  // namespace

const DepthwiseU8Kernel depthwise_u8_avx512vnni = {"depthwise_u8_avx512vnni", Isa::avx512vnni,
                                                   depthwise_u8<Avx512Vnni>};
const DepthwiseF32Kernel depthwise_f32_avx512vnni = {"depthwise_f32_avx512vnni", Isa::avx512vnni, depthwise_f32<Zmm>};

}  // namespace quaver::kernels
