#include "kernels/depthwise/quads_ymm.h"

namespace quaver::kernels {
namespace {

struct AvxVnni : QuadsYmm {
  using Factor = __m256i;
  static constexpr std::size_t kProducts = 1;

  static __m256i data(__m256i quads) { return quads; }
  static __m256i weights(const std::int8_t* w) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w)); }
  static void start(__m256i&, __m256i) {}
  static void multiply(__m256i& acc, __m256i data, __m256i w, std::size_t) {
    acc = _mm256_dpbusd_avx_epi32(acc, data, w);
  }
};

}  // namespace

const DepthwiseU8Kernel depthwise_u8_avxvnni = {"depthwise_u8_avxvnni", Isa::avxvnni, false, AvxVnni::kProducts,
                                                depthwise_u8<AvxVnni>};

}  // namespace quaver::kernels
