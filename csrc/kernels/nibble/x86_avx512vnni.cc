#include "kernels/intrinsics_x86.h"
#include "kernels/nibble/x86_nibble.h"
#include "kernels/nibble/x86_panels.h"

namespace quaver::kernels {
namespace {

// float(q − zero) for each q, by zero.
struct Differences {
  alignas(64) float of[16][16];
  constexpr Differences() : of() {
    for (int zero = 0; zero < 16; ++zero) {
      for (int q = 0; q < 16; ++q) of[zero][q] = static_cast<float>(q - zero);
    }
  }
};
constexpr Differences kDifferences;

// A block's weights are a table of its 16 reals, which four bits of a word choose from.
struct Zmm {
  static constexpr int kRows = 4, kColumns = 4;
  using Sixteen = __m512;
  using Words = __m512i;
  using Block = __m512;

  static Sixteen load(const float* p) { return _mm512_loadu_ps(p); }
  static Words words(const std::uint8_t* p) { return _mm512_loadu_si512(p); }
  static Block block(std::uint8_t zero, float scale) {
    return _mm512_mul_ps(_mm512_load_ps(kDifferences.of[zero]), _mm512_set1_ps(scale));
  }
  static Sixteen next(Words& words, Block block) {
    const Sixteen w = _mm512_permutexvar_ps(words, block);
    words = _mm512_srli_epi32(words, 4);
    return w;
  }
  static Sixteen fma(Sixteen a, Sixteen w, Sixteen s) { return _mm512_fmadd_ps(a, w, s); }
  static float sum(Sixteen s) {
    return sum_of_eight(_mm256_add_ps(_mm512_castps512_ps256(s), _mm512_extractf32x8_ps(s, 1)));
  }
};

struct Panels {
  static constexpr int kRows = 4;
  static constexpr int vectors(int rows) { return rows == 1 ? 4 : 2; }
  static Ints add_dot(Ints acc, Ints w, Ints a) {
    return (Ints)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)w, (__m512i)a);
  }
};

}  // namespace

const NibblePanelKernel kNibblePanelsAvx512Vnni = {"nibble_panels_avx512vnni", Isa::avx512vnni, &quantize_row,
                                                   &nibble_panels<Panels>, &reals_of_panel};
const NibbleKernel kNibbleAvx512Vnni = {"nibble_avx512vnni", Isa::avx512vnni, &nibble<Zmm>};

}  // namespace quaver::kernels
