// Vectors of 128, 256 and 512 bits under one set of names, so that a kernel is written once for all widths.
// Unpacking and packing work within 128-bit lanes and undo each other.
#pragma once

#include <cstddef>

#include "kernels/intrinsics_x86.h"

namespace quaver::kernels {
namespace {

#define QUAVER_VEC(name, bits, prefix, integers, floats)                                       \
  struct name {                                                                                \
    using I = integers;                                                                        \
    using F = floats;                                                                          \
    static constexpr std::size_t kBytes = bits / 8;                                            \
    static I zero() { return prefix##_setzero_si##bits(); }                                    \
    static I load(const void* p) { return prefix##_loadu_si##bits(static_cast<const I*>(p)); } \
    static void store(void* p, I x) { prefix##_storeu_si##bits(static_cast<I*>(p), x); }       \
    static I max_u8(I a, I b) { return prefix##_max_epu8(a, b); }                              \
    static I low_8(I x) { return prefix##_unpacklo_epi8(x, zero()); }                          \
    static I high_8(I x) { return prefix##_unpackhi_epi8(x, zero()); }                         \
    static I low_16(I x) { return prefix##_unpacklo_epi16(x, zero()); }                        \
    static I high_16(I x) { return prefix##_unpackhi_epi16(x, zero()); }                       \
    static I add_16(I a, I b) { return prefix##_add_epi16(a, b); }                             \
    static I add_32(I a, I b) { return prefix##_add_epi32(a, b); }                             \
    static I sub_32(I a, I b) { return prefix##_sub_epi32(a, b); }                             \
    static I all_32(int x) { return prefix##_set1_epi32(x); }                                  \
    static I pack_32(I a, I b) { return prefix##_packs_epi32(a, b); }                          \
    static I pack_16(I a, I b) { return prefix##_packus_epi16(a, b); }                         \
    static F to_float(I x) { return prefix##_cvtepi32_ps(x); }                                 \
    static I round(F x) { return prefix##_cvtps_epi32(x); }                                    \
    static F load_f(const void* p) { return prefix##_loadu_ps(static_cast<const float*>(p)); } \
    static void store_f(void* p, F x) { prefix##_storeu_ps(static_cast<float*>(p), x); }       \
    static F all_f(float x) { return prefix##_set1_ps(x); }                                    \
    static F add_f(F a, F b) { return prefix##_add_ps(a, b); }                                 \
    static F mul_f(F a, F b) { return prefix##_mul_ps(a, b); }                                 \
    static F div_f(F a, F b) { return prefix##_div_ps(a, b); }                                 \
    static F max_f(F a, F b) { return prefix##_max_ps(a, b); } /* a > b ? a : b */             \
    static F min_f(F a, F b) { return prefix##_min_ps(a, b); } /* a < b ? a : b */             \
  }

QUAVER_VEC(Vec128, 128, _mm, __m128i, __m128);
QUAVER_VEC(Vec256, 256, _mm256, __m256i, __m256);
#if defined(__AVX512BW__)
QUAVER_VEC(Vec512, 512, _mm512, __m512i, __m512);
#endif
#undef QUAVER_VEC

}  // namespace
}  // namespace quaver::kernels
