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
    const __m512i zero = V::splat_words(limits.zero);
    const __m512i low = _mm512_set1_epi8(static_cast<char>(limits.low));
    const __m512i high = _mm512_set1_epi8(static_cast<char>(limits.high));
    const __m512i packed = V::pack(V::round(y[0]), V::round(y[1]), V::round(y[2]), V::round(y[3]), zero);
    const __m512i bytes = V::min_u8(V::max_u8(packed, low), high);
    V::store_packed<0, 1>(out, bytes);
    V::store_packed<1, 1>(out + apart, bytes);
    V::store_packed<2, 1>(out + 2 * apart, bytes);
    V::store_packed<3, 1>(out + 3 * apart, bytes);
  }
};

template <class T>
void run_zmm(const DepthwiseU8Args& g) {
  if (g.lanes) return depthwise_u8_lanes(g);
  g.bounded ? any_window<T>(g) : depthwise_u8_scalar.run(g);
}

}  // namespace
}  // namespace quaver::kernels
