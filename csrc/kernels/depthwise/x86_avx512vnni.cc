#include "kernels/depthwise/depthwise_f32_tile.h"
#include "kernels/depthwise/depthwise_u8_tile.h"
#include "kernels/gemm/zmm.h"

namespace quaver::kernels {
namespace {

struct Avx512Vnni {
  using V = Zmm;
  using Bytes = Bytes16;
  using Factor = __m512i;
  static constexpr std::size_t kProducts = 1;

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

  static __m512i data(__m512i quads) { return quads; }
  static __m512i weights(const std::int8_t* w) { return _mm512_loadu_si512(w); }
  static void start(__m512i&, __m512i) {}
  static void multiply(__m512i& acc, __m512i data, __m512i w, std::size_t) { acc = _mm512_dpbusd_epi32(acc, data, w); }
  static void store(std::uint8_t* out, std::size_t apart, const __m512 (&y)[kPixels], const Limits& limits) {
    // The lower limit follows rounding, on bytes; until then saturation keeps what lies below from wrapping.
    const __m512 hi = _mm512_set1_ps(limits.hi);
    const __m512i zero = _mm512_set1_epi16(static_cast<short>(limits.zero));
    const auto words = [&](int p) {
      const __m512i first = _mm512_cvtps_epi32(_mm512_min_ps(hi, y[p]));
      const __m512i second = _mm512_cvtps_epi32(_mm512_min_ps(hi, y[p + 1]));
      return _mm512_adds_epi16(_mm512_packs_epi32(first, second), zero);
    };
    const __m512i low = _mm512_set1_epi8(static_cast<char>(limits.low));
    const __m512i quarters = _mm512_max_epu8(_mm512_packus_epi16(words(0), words(2)), low);
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i bytes = _mm512_permutexvar_epi32(order, quarters);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm512_castsi512_si128(bytes));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + apart), _mm512_extracti32x4_epi32(bytes, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 2 * apart), _mm512_extracti32x4_epi32(bytes, 2));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 3 * apart), _mm512_extracti32x4_epi32(bytes, 3));
  }
};

}  // namespace

const DepthwiseU8Kernel depthwise_u8_avx512vnni = {"depthwise_u8_avx512vnni", Isa::avx512vnni, Avx512Vnni::kProducts,
                                                   depthwise_u8<Avx512Vnni>};
const DepthwiseF32Kernel depthwise_f32_avx512vnni = {"depthwise_f32_avx512vnni", Isa::avx512vnni, depthwise_f32<Zmm>};

}  // namespace quaver::kernels
