// Rounding to bf16 by AVX-512 BF16's own instruction, and the order of a stretch (gemm_bf16.h). Internal linkage, for
// kernel files.
#pragma once

#include "kernels/gemm/bf16.h"
#include "kernels/intrinsics_x86.h"

namespace quaver::kernels {
namespace {

[[maybe_unused]] void round_all(const float* x, std::size_t n, std::uint16_t* out) {
  std::size_t i = 0;
  for (; i + 32 <= n; i += 32) {
    const __m512bh both = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + i + 16), _mm512_loadu_ps(x + i));
    _mm512_storeu_si512(out + i, reinterpret_cast<__m512i>(both));
  }
  for (; i < n; ++i) out[i] = round_bf16(x[i]);
}

// Values as packed weights and tiles have them: of both sums of a stretch what comes next, in turn.
inline __m512i in_turn(__m512i stretch) {
  alignas(64) static constexpr std::uint16_t kOrder[] = {1, 17, 0, 16, 3,  19, 2,  18, 5,  21, 4,  20, 7,  23, 6,  22,
                                                         9, 25, 8, 24, 11, 27, 10, 26, 13, 29, 12, 28, 15, 31, 14, 30};
  return _mm512_permutexvar_epi16(_mm512_load_si512(kOrder), stretch);
}
inline __m512i in_turn(__m512 low, __m512 high) {
  return in_turn(reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
}

}  // namespace
}  // namespace quaver::kernels
