// Rounding to bf16 by AVX-512 BF16's own instruction. Internal linkage, for kernel files.
#pragma once

#include "kernels/gemm/bf16.h"
#include "kernels/intrinsics_x86.h"

namespace quaver::kernels {
namespace {

void round_all(const float* x, std::size_t n, std::uint16_t* out) {
  std::size_t i = 0;
  for (; i + 32 <= n; i += 32) {
    const __m512bh both = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + i + 16), _mm512_loadu_ps(x + i));
    _mm512_storeu_si512(out + i, reinterpret_cast<__m512i>(both));
  }
  for (; i < n; ++i) out[i] = round_bf16(x[i]);
}

}  // namespace
}  // namespace quaver::kernels
