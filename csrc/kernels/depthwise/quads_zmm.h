// What the kernels on 512-bit vectors share. Internal linkage, for kernel files.
#pragma once

#include "kernels/depthwise/depthwise_u8_tile.h"
#include "kernels/gemm/zmm.h"

namespace quaver::kernels {
namespace {

struct QuadsZmm {
  using V = Zmm;
  using Factor = __m512i;
  static constexpr std::size_t kProducts = 1;

  static __m512i data(__m512i quads) { return quads; }
  static __m512i weights(const std::int8_t* w) { return _mm512_loadu_si512(w); }
  static void start(__m512i&, __m512i) {}
  static void multiply(__m512i& acc, __m512i data, __m512i w, std::size_t) { acc = _mm512_dpbusd_epi32(acc, data, w); }

  // Both limits follow rounding, on bytes; until then saturation keeps what lies beyond from wrapping. No sum leaves
  // the range of integers on the way: run_zmm sees to that.
  static void store(std::uint8_t* out, std::size_t apart, const __m512 (&y)[kPixels], const Limits& limits) {
    const __m512i zero = _mm512_set1_epi16(static_cast<short>(limits.zero));
    const auto words = [&](int p) {
      return _mm512_adds_epi16(_mm512_packs_epi32(_mm512_cvtps_epi32(y[p]), _mm512_cvtps_epi32(y[p + 1])), zero);
    };
    const __m512i low = _mm512_set1_epi8(static_cast<char>(limits.low));
    const __m512i high = _mm512_set1_epi8(static_cast<char>(limits.high));
    const __m512i quarters = _mm512_min_epu8(_mm512_max_epu8(_mm512_packus_epi16(words(0), words(2)), low), high);
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i bytes = _mm512_permutexvar_epi32(order, quarters);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm512_castsi512_si128(bytes));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + apart), _mm512_extracti32x4_epi32(bytes, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 2 * apart), _mm512_extracti32x4_epi32(bytes, 2));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 3 * apart), _mm512_extracti32x4_epi32(bytes, 3));
  }
};

// Whether every sum, however large the activations and weights, is brought by its scale to a float whose integer
// exists. No real layer fails this; one that does is left to the definition.
inline bool stays_in_range(const DepthwiseU8Args& g) {
  const float products = static_cast<float>(g.rows * g.columns) * (255.0F * 128.0F), residual = 255.0F * g.r_scale;
  const __m512 limit = _mm512_set1_ps(0x1.fffffp30F - (g.r ? __builtin_fabsf(residual) : 0.0F));
  __mmask16 below = 0xFFFF;
  for (std::size_t c = 0; c < g.channels; c += Zmm::kLanes) {
    const __m512 bias = _mm512_abs_ps(Zmm::to_float(Zmm::load(g.bias + c)));
    const __m512 scale = _mm512_abs_ps(Zmm::load(g.scale + c));
    const __m512 largest = _mm512_mul_ps(_mm512_add_ps(bias, _mm512_set1_ps(products)), scale);
    below &= _mm512_cmp_ps_mask(largest, limit, _CMP_LT_OQ);
  }
  return below == 0xFFFF;
}

template <class T>
void run_zmm(const DepthwiseU8Args& g) {
  stays_in_range(g) ? depthwise_u8<T>(g) : depthwise_u8_scalar.run(g);
}

}  // namespace
}  // namespace quaver::kernels
