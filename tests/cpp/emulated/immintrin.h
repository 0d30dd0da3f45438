// Stands before the compiler's own header, which it includes: AVX-512 and AVX-VNNI intrinsics by way of SIMDe, so that
// kernels for CPUs not at hand run on one with AVX2. The conversions are those that SIMDe 0.7.4 lacks.
#pragma once

#include_next <immintrin.h>
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

namespace emulated {

typedef float F16 __attribute__((vector_size(64)));
typedef int I16 __attribute__((vector_size(64)));
typedef unsigned char U16 __attribute__((vector_size(16)));

inline __m256i half(__m512i v, int i) { return reinterpret_cast<const __m256i_u*>(&v)[i]; }
inline __m256 half(__m512 v, int i) { return _mm256_loadu_ps(reinterpret_cast<const float*>(&v) + 8 * i); }

inline __m512i both(__m256i low, __m256i high) {
  __m512i out;
  reinterpret_cast<__m256i_u*>(&out)[0] = low;
  reinterpret_cast<__m256i_u*>(&out)[1] = high;
  return out;
}

inline __m512 to_float(__m512i v) {
  return reinterpret_cast<__m512>(__builtin_convertvector(reinterpret_cast<I16>(v), F16));
}
inline __m512i round(__m512 v) { return both(_mm256_cvtps_epi32(half(v, 0)), _mm256_cvtps_epi32(half(v, 1))); }
inline __m512i widen(__m128i v) {
  return reinterpret_cast<__m512i>(__builtin_convertvector(reinterpret_cast<U16>(v), I16));
}
inline __m128i narrow(__m512i v) {
  return reinterpret_cast<__m128i>(__builtin_convertvector(reinterpret_cast<I16>(v), U16));
}
inline __m256i halve(__m512i v) {
  __m256i out;
  for (int i = 0; i < 16; ++i)
    __builtin_memcpy(reinterpret_cast<char*>(&out) + 2 * i, reinterpret_cast<char*>(&v) + 4 * i, 2);
  return out;
}

template <class V, class Mask>
void store_some(void* p, Mask which, V v) {
  for (unsigned i = 0; i < sizeof(V); ++i) {
    if (which >> i & 1) static_cast<char*>(p)[i] = reinterpret_cast<const char*>(&v)[i];
  }
}
template <class V, class Mask>
V load_some(Mask which, const void* p) {
  V out = {};
  for (unsigned i = 0; i < sizeof(V); ++i) {
    if (which >> i & 1) reinterpret_cast<char*>(&out)[i] = static_cast<const char*>(p)[i];
  }
  return out;
}

}  // namespace emulated

#define _mm512_cvtepi32_ps emulated::to_float
#define _mm512_cvtps_epi32 emulated::round
#define _mm512_cvtepu8_epi32 emulated::widen
#define _mm512_cvtepi32_epi8 emulated::narrow
#define _mm512_cvtepi32_epi16 emulated::halve
#define _mm256_dpbusd_avx_epi32 simde_mm256_dpbusd_epi32
#define _mm_mask_storeu_epi8 emulated::store_some
#define _mm_maskz_loadu_epi8 emulated::load_some<__m128i>
#undef _mm256_mask_storeu_epi8
#define _mm256_mask_storeu_epi8 emulated::store_some
#undef _mm256_maskz_loadu_epi8
#define _mm256_maskz_loadu_epi8 emulated::load_some<__m256i>
#undef _mm512_mask_storeu_epi8
#define _mm512_mask_storeu_epi8 emulated::store_some
#undef _mm512_maskz_loadu_epi8
#define _mm512_maskz_loadu_epi8 emulated::load_some<__m512i>
