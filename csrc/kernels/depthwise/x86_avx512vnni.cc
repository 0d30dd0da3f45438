#include "kernels/depthwise/depthwise_f32_tile.h"
#include "kernels/depthwise/lanes_zmm.h"
#include "kernels/depthwise/quads_zmm.h"

namespace quaver::kernels {
namespace {

struct Avx512Vnni : QuadsZmm {
  using Bytes = Bytes16;

  static Bytes read_some(const std::uint8_t* p, std::size_t n) { return read_below_16(p, n); }

  // One tap per 128-bit lane; words of 4 channels change places with lanes, then bytes with words.
  static void spread(const Bytes (&taps)[4], __m512i* out, std::size_t) {
    const auto tap = [&](int t) { return reinterpret_cast<__m128i>(taps[t]); };
    __m512i all = _mm512_castsi128_si512(tap(0));
    all = _mm512_inserti32x4(all, tap(1), 1);
    all = _mm512_inserti32x4(all, tap(2), 2);
    all = _mm512_inserti32x4(all, tap(3), 3);
    const __m512i words = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i bytes = _mm512_set4_epi32(0x0F0B0703, 0x0E0A0602, 0x0D090501, 0x0C080400);
    out[0] = _mm512_shuffle_epi8(_mm512_permutexvar_epi32(words, all), bytes);
  }
};

}  // namespace

void depthwise_u8_lanes(const DepthwiseU8Args& g) {
  if (g.rows == 3) return g.step == 1 ? square<Square<3, 1>>(g) : square<Square<3, 2>>(g);
  return g.step == 1 ? square<Square<5, 1>>(g) : square<Square<5, 2>>(g);
}

const DepthwiseU8Kernel depthwise_u8_avx512vnni = {"depthwise_u8_avx512vnni", Isa::avx512vnni, true,
                                                   Avx512Vnni::kProducts, run_zmm<Avx512Vnni>};
const DepthwiseF32Kernel depthwise_f32_avx512vnni = {"depthwise_f32_avx512vnni", Isa::avx512vnni, depthwise_f32<Zmm>};

}  // namespace quaver::kernels
