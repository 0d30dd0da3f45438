#include "kernels/depthwise/depthwise_f32_tile.h"
#include "kernels/depthwise/depthwise_u8_tile.h"
#include "kernels/gemm/zmm.h"

namespace quaver::kernels {
namespace {

struct Avx512Vnni {
  using V = Zmm;
  using Bytes = Bytes16;
  using Factor = __m512i;

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
    store_lanes<V>(out, apart, y, limits);
  }
};

}  // namespace

const DepthwiseU8Kernel depthwise_u8_avx512vnni = {"depthwise_u8_avx512vnni", Isa::avx512vnni,
                                                   depthwise_u8<Avx512Vnni>};
const DepthwiseF32Kernel depthwise_f32_avx512vnni = {"depthwise_f32_avx512vnni", Isa::avx512vnni, depthwise_f32<Zmm>};

}  // namespace quaver::kernels
