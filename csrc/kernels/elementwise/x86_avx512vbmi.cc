#include "kernels/elementwise/kernels.h"
#include "kernels/gemm/zmm.h"

namespace quaver::kernels {
namespace {

// Two instructions look 64 bytes up among 128 each by their low seven bits; the top bit chooses.
struct Halves {
  __m512i quarters[4];

  explicit Halves(const std::uint8_t* table) {
#pragma GCC unroll 4
    for (int q = 0; q < 4; ++q) quarters[q] = _mm512_loadu_si512(table + 64 * q);
  }
  __m512i operator()(__m512i x) const {
    const __m512i low = _mm512_permutex2var_epi8(quarters[0], x, quarters[1]);
    const __m512i high = _mm512_permutex2var_epi8(quarters[2], x, quarters[3]);
    return _mm512_mask_blend_epi8(_mm512_movepi8_mask(x), low, high);
  }
};

void table_avx512vbmi(const TableArgs& args) {
  const Halves look_up(args.table);
  const std::uint8_t* x = args.x;
  std::uint8_t* y = args.y;
  std::size_t n = args.n;
  for (; n >= 64; n -= 64, x += 64, y += 64) _mm512_storeu_si512(y, look_up(_mm512_loadu_si512(x)));
  if (n == 0) return;
  const __mmask64 rest = ~std::uint64_t{0} >> (64 - n);
  _mm512_mask_storeu_epi8(y, rest, look_up(_mm512_maskz_loadu_epi8(rest, x)));
}

}  // namespace

constexpr TableKernel kTable_avx512vbmi{"table_avx512vbmi", Isa::avx512vbmi, &table_avx512vbmi};

}  // namespace quaver::kernels
