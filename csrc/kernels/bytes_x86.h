// Bytes to fp32 lanes and back, for AVX2 and AVX-512: what the compiler's own packing takes twice as long for.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/floats_x86.h"

namespace quaver::kernels {
namespace {

constexpr std::size_t kBlock = 4 * kLanes;  // bytes stored at once

// rne(min(max(t, lo − zero), hi − zero)) + zero, xor flip. Since the bounds are whole, clamping follows rounding here;
// the minimum with 2^30 keeps the conversion in range, and a NaN, which converts to INT_MIN, ends as lo.
struct ByteBounds {
  ByteBounds(std::int32_t zero, std::int32_t lo, std::int32_t hi, std::uint8_t flip = 0)
      : zero(zero), lo(static_cast<char>(lo)), hi(static_cast<char>(hi)), flip(static_cast<char>(flip)) {}
  std::int32_t zero;
  char lo, hi, flip;
};

#if defined(__AVX512BW__)

// Packing twice leaves each four of a vector in a lane of their own; this brings them into their order.
inline __m512i byte_order() { return _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15); }

inline Ints load_bytes(const std::uint8_t* p) {
  return (Ints)_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}

// Packing saturates, first to 16 bits and then to bytes.
inline void store_bytes(std::uint8_t* c, const Floats (&t)[4], ByteBounds out) {
  const __m512i zero = _mm512_set1_epi16(static_cast<short>(out.zero));
  const auto round = [&](std::size_t v) {
    return _mm512_cvtps_epi32(_mm512_min_ps(_mm512_set1_ps(0x1p30F), (__m512)t[v]));
  };
  const __m512i low = _mm512_adds_epi16(_mm512_packs_epi32(round(0), round(1)), zero);
  const __m512i high = _mm512_adds_epi16(_mm512_packs_epi32(round(2), round(3)), zero);
  __m512i y = _mm512_permutexvar_epi32(byte_order(), _mm512_packus_epi16(low, high));
  y = _mm512_min_epu8(_mm512_max_epu8(y, _mm512_set1_epi8(out.lo)), _mm512_set1_epi8(out.hi));
  _mm512_storeu_si512(c, _mm512_xor_si512(y, _mm512_set1_epi8(out.flip)));
}

#else

inline __m256i byte_order() { return _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7); }

inline Ints load_bytes(const std::uint8_t* p) {
  return (Ints)_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
}

inline __m256i round_lanes(Floats t) { return _mm256_cvtps_epi32(_mm256_min_ps(_mm256_set1_ps(0x1p30F), (__m256)t)); }

inline void store_bytes(std::uint8_t* c, const Floats (&t)[4], ByteBounds out) {
  const __m256i zero = _mm256_set1_epi16(static_cast<short>(out.zero));
  const __m256i low = _mm256_adds_epi16(_mm256_packs_epi32(round_lanes(t[0]), round_lanes(t[1])), zero);
  const __m256i high = _mm256_adds_epi16(_mm256_packs_epi32(round_lanes(t[2]), round_lanes(t[3])), zero);
  __m256i y = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(low, high), byte_order());
  y = _mm256_min_epu8(_mm256_max_epu8(y, _mm256_set1_epi8(out.lo)), _mm256_set1_epi8(out.hi));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(c), _mm256_xor_si256(y, _mm256_set1_epi8(out.flip)));
}

#endif

// Runs block(i) for kBlock elements from i on, over [0, n), n ≥ kBlock; the last block overlaps the one before it.
template <class F>
void each_block(std::size_t n, F block) {
  std::size_t i = 0;
  for (; i + kBlock <= n; i += kBlock) block(i);
  if (i < n) block(n - kBlock);
}

}  // namespace
}  // namespace quaver::kernels
