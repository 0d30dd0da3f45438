// AVX-512 vectors under the names that the tiles and epilogues use. Internal linkage, for kernel files.
#pragma once

// GCC 12 takes the undefined operands inside its own AVX-512 header for a mistake (its bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop

#include <cstddef>
#include <cstdint>

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

  static F to_float(I v) { return _mm512_cvtepi32_ps(v); }
  static I round(F v) { return _mm512_cvtps_epi32(v); }
  // 16 bytes to and from 16 lanes; the lanes stored lie in [0, 255].
  static I load_u8(const std::uint8_t* p) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  static void store_u8(std::uint8_t* p, I v) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(v));
  }
  static void store_u8(std::uint8_t* p, I a, I b) { store_u8(p, a), store_u8(p + kLanes, b); }
};

}  // namespace
}  // namespace quaver::kernels
