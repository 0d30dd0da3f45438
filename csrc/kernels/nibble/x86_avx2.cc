#include "kernels/nibble/x86_nibble.h"
#include "kernels/nibble/x86_panels.h"

namespace quaver::kernels {
namespace {

struct Ymm {
  static constexpr int kRows = 2, kColumns = 2;
  struct Sixteen {
    __m256 low, high;
  };
  struct Words {
    __m256i low, high;
  };
  struct Block {
    __m256 zero, scale;
  };

  static Sixteen load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static Words words(const std::uint8_t* p) {
    const auto* w = reinterpret_cast<const __m256i*>(p);
    return {_mm256_loadu_si256(w), _mm256_loadu_si256(w + 1)};
  }
  static Block block(std::uint8_t zero, float scale) {
    return {_mm256_set1_ps(static_cast<float>(zero)), _mm256_set1_ps(scale)};
  }
  static __m256 decoded(__m256i words, const Block& block) {
    const __m256 q = _mm256_cvtepi32_ps(_mm256_and_si256(words, _mm256_set1_epi32(15)));
    return _mm256_mul_ps(_mm256_sub_ps(q, block.zero), block.scale);
  }
  static Sixteen next(Words& words, const Block& block) {
    const Sixteen w{decoded(words.low, block), decoded(words.high, block)};
    words = {_mm256_srli_epi32(words.low, 4), _mm256_srli_epi32(words.high, 4)};
    return w;
  }
  static Sixteen fma(const Sixteen& a, const Sixteen& w, const Sixteen& s) {
    return {_mm256_fmadd_ps(a.low, w.low, s.low), _mm256_fmadd_ps(a.high, w.high, s.high)};
  }
  static float sum(const Sixteen& s) { return sum_of_eight(_mm256_add_ps(s.low, s.high)); }
};

// Two products of a number below 16 and a signed byte fit 16 bits.
struct Panels {
  static constexpr int kRows = 2;
  static constexpr int vectors(int) { return 2; }
  static Ints add_dot(Ints acc, Ints w, Ints a) {
    return acc + (Ints)_mm256_madd_epi16(_mm256_maddubs_epi16((__m256i)w, (__m256i)a), _mm256_set1_epi16(1));
  }
};

}  // namespace

const NibblePanelKernel kNibblePanelsAvx2 = {"nibble_panels_avx2", Isa::avx2, &quantize_row, &nibble_panels<Panels>,
                                             &reals_of_panel};
const NibbleKernel kNibbleAvx2 = {"nibble_avx2", Isa::avx2, &nibble<Ymm>};

}  // namespace quaver::kernels
