// AVX2 vectors under the names that the tiles and epilogues use. Internal linkage, for kernel files.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/gemm/part.h"

namespace quaver::kernels {
namespace {

struct Ymm {
  using I = __m256i;
  using F = __m256;
  static constexpr int kLanes = 8;

  static I load(const std::int32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static F load(const float* p) { return _mm256_loadu_ps(p); }
  static void store(std::int32_t* p, I v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
  static void store(float* p, F v) { _mm256_storeu_ps(p, v); }
  static I splat(std::int32_t v) { return _mm256_set1_epi32(v); }
  static F splat(float v) { return _mm256_set1_ps(v); }

  static I add(I a, I b) { return _mm256_add_epi32(a, b); }
  static I sub(I a, I b) { return _mm256_sub_epi32(a, b); }
  static I mul(I a, I b) { return _mm256_mullo_epi32(a, b); }
  static F add(F a, F b) { return _mm256_add_ps(a, b); }
  static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  // The second operand where the comparison fails, as in the scalar definition: a NaN in y passes.
  static F clamp(F y, float lo, float hi) { return _mm256_min_ps(splat(hi), _mm256_max_ps(splat(lo), y)); }
  static F min(F a, F b) { return _mm256_min_ps(b, a); }

  // The halves of each lane as floats: of a pair of bf16 the odd one lies above.
  static F odd(I pairs) { return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(~0xFFFF))); }
  static F even(I pairs) { return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)); }
  // round_bf16() of each lane (bf16.h), and the store of the halves that hold it.
  static I round_upper(F x) {
    const I bits = _mm256_castps_si256(x), zero = _mm256_setzero_si256();
    const I even = _mm256_and_si256(_mm256_srli_epi32(bits, 16), splat(1));
    I y = _mm256_add_epi32(bits, _mm256_add_epi32(even, splat(0x7FFF)));
    const I denormal = _mm256_cmpeq_epi32(_mm256_and_si256(bits, splat(0x7F800000)), zero);
    y = _mm256_blendv_epi8(y, _mm256_and_si256(bits, splat(INT32_MIN)), denormal);
    const I nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    y = _mm256_blendv_epi8(y, _mm256_or_si256(bits, splat(0x400000)), nan);
    return _mm256_srli_epi32(y, 16);
  }
  static void store_upper(std::uint16_t* p, I v) {
    const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), words);
  }

  static F to_float(I v) { return _mm256_cvtepi32_ps(v); }
  static I round(F v) { return _mm256_cvtps_epi32(v); }
  // 8 bytes to and from 8 lanes; the lanes stored lie in [0, 255].
  static I load_u8(const std::uint8_t* p) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  static void store_u8(std::uint8_t* p, I v) {
    const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
  }

  // Four vectors' lanes plus `zero` as bytes, saturated; the first vector's are the lowest.
  static I pack(I a, I b, I c, I d, I zero) {
    const I low = _mm256_adds_epi16(_mm256_packs_epi32(a, b), zero),
            high = _mm256_adds_epi16(_mm256_packs_epi32(c, d), zero);
    return _mm256_permutevar8x32_epi32(_mm256_packus_epi16(low, high), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  }
  static I splat_words(std::int32_t v) { return _mm256_set1_epi16(static_cast<std::int16_t>(v)); }
  static I max_u8(I a, I b) { return _mm256_max_epu8(a, b); }
  static I min_u8(I a, I b) { return _mm256_min_epu8(a, b); }
  // Of four packed vectors kCount from the kFirst-th on.
  template <int kFirst, int kCount>
  static void store_packed(std::uint8_t* p, I v) {
    if constexpr (kCount == 4) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v);
    } else if constexpr (kCount == 2) {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_extracti128_si256(v, kFirst / 2));
    } else {
      const auto eight = static_cast<std::uint64_t>(_mm256_extract_epi64(v, kFirst));
      __builtin_memcpy(p, &eight, 8);
    }
  }
  // The first `count` ≤ kLanes bytes of one of them, and of a row in memory.
  template <int kWhich>
  static void store_part(std::uint8_t* p, I v, std::size_t count) {
    auto eight = static_cast<std::uint64_t>(_mm256_extract_epi64(v, kWhich));
    write_part(p, eight, count);
  }
  static I load_part_u8(const std::uint8_t* p, std::size_t count) {
    return _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<long long>(read_part(p, count))));
  }
};

}  // namespace
}  // namespace quaver::kernels
