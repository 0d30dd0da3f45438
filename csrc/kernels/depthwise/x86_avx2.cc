#include "kernels/depthwise/depthwise_f32_tile.h"
#include "kernels/depthwise/quads_ymm.h"

namespace quaver::kernels {
namespace {

// Exact: a quad's even and odd bytes as 16-bit words.
struct Avx2 : QuadsYmm {
  static constexpr std::size_t kProducts = 2;
  struct Factor {
    __m256i even, odd;
  };

  static Factor data(__m256i quads) {
    return {_mm256_and_si256(quads, _mm256_set1_epi16(255)), _mm256_srli_epi16(quads, 8)};
  }
  static Factor weights(const std::int8_t* w) {
    const __m256i quads = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w));
    return {_mm256_srai_epi16(_mm256_slli_epi16(quads, 8), 8), _mm256_srai_epi16(quads, 8)};
  }
  static void start(__m256i&, const Factor&) {}
  // The empty statement keeps the compiler from summing in another order, for which it would put products by on the
  // stack.
  static void add_products(__m256i& acc, __m256i data, __m256i w) {
    acc = _mm256_add_epi32(acc, _mm256_madd_epi16(data, w));
    __asm__("" : "+x"(acc));
  }
  static void multiply(__m256i& acc, const Factor& data, const Factor& w, std::size_t n) {
    add_products(acc, data.even, w.even);
    if (n > 1) add_products(acc, data.odd, w.odd);
  }
};

}  // namespace

const DepthwiseU8Kernel depthwise_u8_avx2 = {"depthwise_u8_avx2", Isa::avx2, false, Avx2::kProducts,
                                             depthwise_u8<Avx2>};
const DepthwiseF32Kernel depthwise_f32_avx2 = {"depthwise_f32_avx2", Isa::avx2, depthwise_f32<Ymm>};

}  // namespace quaver::kernels
