#include "kernels/depthwise/quads_zmm.h"

namespace quaver::kernels {
namespace {

struct Avx512Vbmi : QuadsZmm {
  typedef std::uint8_t Bytes __attribute__((vector_size(32)));

  static Bytes read_some(const std::uint8_t* p, std::size_t n) {
    const __m128i low = reinterpret_cast<__m128i>(n < 16 ? read_below_16(p, n) : read<Bytes16>(p));
    const __m128i high = n > 16 ? reinterpret_cast<__m128i>(read_below_16(p + 16, n - 16)) : _mm_setzero_si128();
    return reinterpret_cast<Bytes>(_mm256_set_m128i(high, low));
  }

  // Two taps a register; one instruction takes bytes of all four from two registers.
  static void spread(const Bytes (&taps)[4], __m512i* out, std::size_t apart) {
    const auto pair = [&](int t) {
      const __m512i first = _mm512_castsi256_si512(reinterpret_cast<__m256i>(taps[t]));
      return _mm512_inserti64x4(first, reinterpret_cast<__m256i>(taps[t + 1]), 1);
    };
    // Channel c of tap t lies at 32 · t + c.
    const __m512i four = _mm512_set1_epi32(0x60402000);
    const __m512i channels = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i low = _mm512_add_epi32(four, _mm512_mullo_epi32(channels, _mm512_set1_epi32(0x01010101)));
    const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(0x10101010));
    const __m512i first = pair(0), last = pair(2);
    out[0] = _mm512_permutex2var_epi8(first, low, last);
    out[apart] = _mm512_permutex2var_epi8(first, high, last);
  }
};

}  // namespace

const DepthwiseU8Kernel depthwise_u8_avx512vbmi = {"depthwise_u8_avx512vbmi", Isa::avx512vbmi, true,
                                                   Avx512Vbmi::kProducts, run_zmm<Avx512Vbmi>};

}  // namespace quaver::kernels
