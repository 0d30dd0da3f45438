// AVX-512 vectors under the names that the tiles and epilogues use. Internal linkage, for kernel files.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/intrinsics_x86.h"

namespace quaver::kernels {
namespace {

struct Zmm {
  using I = __m512i;
  using F = __m512;
  static constexpr int kLanes = 16;

  static I load(const std::int32_t* p) { return _mm512_loadu_si512(p); }
  static F load(const float* p) { return _mm512_loadu_ps(p); }
  static void store(std::int32_t* p, I v) { _mm512_storeu_si512(p, v); }
  static void store(float* p, F v) { _mm512_storeu_ps(p, v); }
  static I splat(std::int32_t v) { return _mm512_set1_epi32(v); }
  static F splat(float v) { return _mm512_set1_ps(v); }

  static I add(I a, I b) { return _mm512_add_epi32(a, b); }
  static I sub(I a, I b) { return _mm512_sub_epi32(a, b); }
  static I mul(I a, I b) { return _mm512_mullo_epi32(a, b); }
  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  // The second operand where the comparison fails, as in the scalar definition: a NaN in y passes.
  static F clamp(F y, float lo, float hi) { return _mm512_min_ps(splat(hi), _mm512_max_ps(splat(lo), y)); }
  static F min(F a, F b) { return _mm512_min_ps(b, a); }

  // The halves of each lane as floats: of a pair of bf16 the odd one lies above.
  static F odd(I pairs) { return _mm512_castsi512_ps(_mm512_and_si512(pairs, splat(~0xFFFF))); }
  static F even(I pairs) { return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)); }
  // round_bf16() of each lane (bf16.h), and the store of the halves that hold it.
  static I round_upper(F x) {
    const I bits = _mm512_castps_si512(x);
    const I even = _mm512_and_si512(_mm512_srli_epi32(bits, 16), splat(1));
    I y = _mm512_add_epi32(bits, _mm512_add_epi32(even, splat(0x7FFF)));
    const I exponent = _mm512_and_si512(bits, splat(0x7F800000));
    const __mmask16 denormal = _mm512_cmpeq_epi32_mask(exponent, _mm512_setzero_si512());
    y = _mm512_mask_and_epi32(y, denormal, bits, splat(INT32_MIN));
    y = _mm512_mask_or_epi32(y, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), bits, splat(0x400000));
    return _mm512_srli_epi32(y, 16);
  }
  static void store_upper(std::uint16_t* p, I v) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(v));
  }

  static F to_float(I v) { return _mm512_cvtepi32_ps(v); }
  static I round(F v) { return _mm512_cvtps_epi32(v); }
  // 16 bytes to and from 16 lanes; the lanes stored lie in [0, 255].
  static I load_u8(const std::uint8_t* p) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static void store_u8(std::uint8_t* p, I v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(v));
  }

  // Four vectors' lanes plus `zero` as bytes, saturated; the first vector's are the lowest.
  static I pack(I a, I b, I c, I d, I zero) {
    return in_order(_mm512_adds_epi16(_mm512_packs_epi32(a, b), zero),
                    _mm512_adds_epi16(_mm512_packs_epi32(c, d), zero));
  }
  static I pack(I a, I b, I c, I d) { return in_order(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d)); }
  static I splat_words(std::int32_t v) { return _mm512_set1_epi16(static_cast<std::int16_t>(v)); }
  static I max_u8(I a, I b) { return _mm512_max_epu8(a, b); }
  static I min_u8(I a, I b) { return _mm512_min_epu8(a, b); }
  // Of four packed vectors kCount from the kFirst-th on.
  template <int kFirst, int kCount>
  static void store_packed(std::uint8_t* p, I v) {
    if constexpr (kCount == 4) {
      _mm512_storeu_si512(p, v);
    } else if constexpr (kCount == 2) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_extracti64x4_epi64(v, kFirst / 2));
    } else {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_extracti32x4_epi32(v, kFirst));
    }
  }
  // The first `count` ≤ kLanes bytes of one of them, and of a row in memory.
  template <int kWhich>
  static void store_part(std::uint8_t* p, I v, std::size_t count) {
    _mm_mask_storeu_epi8(p, mask(count), _mm512_extracti32x4_epi32(v, kWhich));
  }
  static I load_part_u8(const std::uint8_t* p, std::size_t count) {
    return _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(mask(count), p));
  }

 private:
  static I in_order(I low, I high) {
    const I order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm512_permutexvar_epi32(order, _mm512_packus_epi16(low, high));
  }
  static __mmask16 mask(std::size_t count) { return static_cast<__mmask16>((1U << count) - 1); }
};

}  // namespace
}  // namespace quaver::kernels
