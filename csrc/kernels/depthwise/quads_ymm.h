// What the two kernels on 256-bit vectors share. Internal linkage, for kernel files.
#pragma once

#include "kernels/depthwise/depthwise_u8_tile.h"
#include "kernels/gemm/ymm.h"

namespace quaver::kernels {
namespace {

struct QuadsYmm {
  using V = Ymm;

  typedef std::uint8_t Bytes __attribute__((vector_size(32)));

  static Bytes read_some(const std::uint8_t* p, std::size_t n) {
    const __m128i low = reinterpret_cast<__m128i>(n < 16 ? read_below_16(p, n) : read<Bytes16>(p));
    const __m128i high = n > 16 ? reinterpret_cast<__m128i>(read_below_16(p + 16, n - 16)) : _mm_setzero_si128();
    return reinterpret_cast<Bytes>(_mm256_set_m128i(high, low));
  }

  // Instructions that interleave stay within halves of 16 channels; the last step brings 8 neighbours together.
  static void spread(const Bytes (&taps)[4], __m256i* out, std::size_t apart) {
    const auto tap = [&](int t) { return reinterpret_cast<__m256i>(taps[t]); };
    const __m256i low01 = _mm256_unpacklo_epi8(tap(0), tap(1)), high01 = _mm256_unpackhi_epi8(tap(0), tap(1));
    const __m256i low23 = _mm256_unpacklo_epi8(tap(2), tap(3)), high23 = _mm256_unpackhi_epi8(tap(2), tap(3));
    const __m256i a = _mm256_unpacklo_epi16(low01, low23), b = _mm256_unpackhi_epi16(low01, low23);
    const __m256i c = _mm256_unpacklo_epi16(high01, high23), d = _mm256_unpackhi_epi16(high01, high23);
    out[0] = _mm256_permute2x128_si256(a, b, 0x20);
    out[apart] = _mm256_permute2x128_si256(c, d, 0x20);
    out[2 * apart] = _mm256_permute2x128_si256(a, b, 0x31);
    out[3 * apart] = _mm256_permute2x128_si256(c, d, 0x31);
  }

  // The lower limit follows rounding, on bytes; until then saturation keeps what lies below from wrapping.
  static void store(std::uint8_t* out, std::size_t apart, const __m256 (&y)[kPixels], const Limits& limits) {
    const __m256 hi = _mm256_set1_ps(limits.hi);
    const auto words = [&](int p) {
      const __m256i first = _mm256_cvtps_epi32(_mm256_min_ps(hi, y[p]));
      const __m256i second = _mm256_cvtps_epi32(_mm256_min_ps(hi, y[p + 1]));
      const __m256i zero = _mm256_set1_epi16(static_cast<short>(limits.zero));
      return _mm256_adds_epi16(_mm256_packs_epi32(first, second), zero);
    };
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const __m256i low = _mm256_set1_epi8(static_cast<char>(limits.low));
    const __m256i halves = _mm256_max_epu8(_mm256_packus_epi16(words(0), words(2)), low);
    const __m256i bytes = _mm256_permutevar8x32_epi32(halves, order);
    const __m128i first = _mm256_castsi256_si128(bytes), last = _mm256_extracti128_si256(bytes, 1);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out), first);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out + apart), _mm_unpackhi_epi64(first, first));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out + 2 * apart), last);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out + 3 * apart), _mm_unpackhi_epi64(last, last));
  }
};

}  // namespace
}  // namespace quaver::kernels
