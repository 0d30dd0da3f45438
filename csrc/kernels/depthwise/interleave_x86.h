// Four taps of 16 channels brought together channel by channel. Internal linkage, for kernel files.
#pragma once

#include <immintrin.h>

#include "kernels/gemm/rows.h"

namespace quaver::kernels {
namespace {

// out[v]: the quads (tap 0, 1, 2, 3) of channels 4v … 4v + 3.
inline void interleave(const Bytes16 (&taps)[4], __m128i (&out)[4]) {
  const auto tap = [&](int t) { return reinterpret_cast<__m128i>(taps[t]); };
  const __m128i low01 = _mm_unpacklo_epi8(tap(0), tap(1)), high01 = _mm_unpackhi_epi8(tap(0), tap(1));
  const __m128i low23 = _mm_unpacklo_epi8(tap(2), tap(3)), high23 = _mm_unpackhi_epi8(tap(2), tap(3));
  out[0] = _mm_unpacklo_epi16(low01, low23);
  out[1] = _mm_unpackhi_epi16(low01, low23);
  out[2] = _mm_unpacklo_epi16(high01, high23);
  out[3] = _mm_unpackhi_epi16(high01, high23);
}

}  // namespace
}  // namespace quaver::kernels
