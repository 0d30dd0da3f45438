// A vector of fp32 lanes for AVX2 and AVX-512, and sums in the 16 virtual lanes of lanes.h. Floats and Ints are the
// compiler's vectors, so arithmetic on them is written with operators. Internal linkage, for kernel files.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/intrinsics_x86.h"
#include "kernels/lanes.h"

namespace quaver::kernels {
namespace {

#if defined(__AVX512BW__)
constexpr std::size_t kLanes = 16;
#else
constexpr std::size_t kLanes = 8;
#endif

typedef float Floats __attribute__((vector_size(4 * kLanes)));
typedef std::int32_t Ints __attribute__((vector_size(4 * kLanes)));

inline Floats to_floats(Ints x) { return __builtin_convertvector(x, Floats); }
inline Floats splat(float x) { return Floats{} + x; }
inline Ints splat(std::int32_t x) { return Ints{} + x; }
inline Floats load_floats(const float* p) {
  Floats x;
  __builtin_memcpy(&x, p, sizeof x);
  return x;
}
constexpr int kToNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
inline void store_floats(float* p, Floats x) { __builtin_memcpy(p, &x, sizeof x); }

#if defined(__AVX512BW__)
// The second operand where either is a NaN.
inline Floats greater(Floats a, Floats b) { return (Floats)_mm512_max_ps((__m512)a, (__m512)b); }
inline Floats lesser(Floats a, Floats b) { return (Floats)_mm512_min_ps((__m512)a, (__m512)b); }
inline Ints nearest(Floats x) { return (Ints)_mm512_cvtps_epi32((__m512)x); }
inline Floats rounded(Floats x) { return (Floats)_mm512_roundscale_ps((__m512)x, kToNearest); }
inline bool any_above(Floats a, Floats b) { return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ) != 0; }
// a · b + c, rounded once.
inline Floats fused(Floats a, Floats b, Floats c) { return (Floats)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c); }
#else
inline Floats greater(Floats a, Floats b) { return (Floats)_mm256_max_ps((__m256)a, (__m256)b); }
inline Floats lesser(Floats a, Floats b) { return (Floats)_mm256_min_ps((__m256)a, (__m256)b); }
inline Ints nearest(Floats x) { return (Ints)_mm256_cvtps_epi32((__m256)x); }
inline Floats rounded(Floats x) { return (Floats)_mm256_round_ps((__m256)x, kToNearest); }
inline bool any_above(Floats a, Floats b) {
  return _mm256_movemask_ps(_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_GT_OQ)) != 0;
}
inline Floats fused(Floats a, Floats b, Floats c) { return (Floats)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c); }
#endif

// combine(a, b) of eight lanes, half by half.
template <class Combine>
inline float fold_eight(__m256 s, Combine combine) {
  const __m128 four = combine(_mm256_castps256_ps128(s), _mm256_extractf128_ps(s, 1));
  const __m128 two = combine(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(combine(two, _mm_shuffle_ps(two, two, 1)));
}

inline float sum_of_eight(__m256 s) {
  return fold_eight(s, [](__m128 a, __m128 b) { return _mm_add_ps(a, b); });
}

// The greatest lane of x, in which no NaN is.
inline float greatest(Floats x) {
#if defined(__AVX512BW__)
  const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256((__m512)x), _mm512_extractf32x8_ps((__m512)x, 1));
#else
  const __m256 eight = (__m256)x;
#endif
  return fold_eight(eight, [](__m128 a, __m128 b) { return _mm_max_ps(a, b); });
}

inline std::int32_t total_of(Ints x) {
#if defined(__AVX512BW__)
  const __m256i low = _mm512_castsi512_si256((__m512i)x);
  const __m256i eight = _mm256_add_epi32(low, _mm512_extracti64x4_epi64((__m512i)x, 1));
#else
  const __m256i eight = (__m256i)x;
#endif
  const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4E));
  return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 1)));
}

// The virtual lanes of a sum: those of whole vectors, then what a row's last elements add to the first ones.
struct LaneSums {
  static constexpr std::size_t kVectors = kVirtualLanes / kLanes;
  Floats v[kVectors] = {};

  void add_one(std::size_t lane, float x) { v[lane / kLanes][lane % kLanes] += x; }

  // s[l] = s[l] + s[l + h] for h in 8, 4, 2, 1.
  float sum() const {
#if defined(__AVX512BW__)
    return sum_of_eight(_mm256_add_ps(_mm512_castps512_ps256((__m512)v[0]), _mm512_extractf32x8_ps((__m512)v[0], 1)));
#else
    return sum_of_eight(_mm256_add_ps((__m256)v[0], (__m256)v[1]));
#endif
  }
};

}  // namespace
}  // namespace quaver::kernels
