#include "kernels/gemm/gemm_bf16_x86.h"
#include "kernels/gemm/variants.h"
#include "kernels/gemm/ymm.h"
#include "kernels/gemm/zmm.h"

namespace quaver::kernels {
namespace {

template <class Vec>
struct Dot {
  using V = Vec;
  using Args = GemmBf16Args;
  using Element = std::uint16_t;
  static constexpr std::size_t kDepth = 2, kStretch = 0;

  template <std::size_t kValues, int R, int N>
  [[gnu::always_inline]] static void step(typename V::F (&acc)[R][N], const std::uint16_t* const (&rows)[R],
                                          const std::uint16_t* const (&w)[N]) {
    typename V::I pairs[N];
#pragma GCC unroll 16
    for (int v = 0; v < N; ++v) pairs[v] = V::load(reinterpret_cast<const std::int32_t*>(w[v]));
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const typename V::I row = V::splat(pair_at<kValues>(rows[r]));
#pragma GCC unroll 16
      for (int v = 0; v < N; ++v) {
        // Written out: around the intrinsic GCC 12 copies each sum to another register and back.
        __asm__("vdpbf16ps %2, %1, %0" : "+v"(acc[r][v]) : "v"(row), "v"(pairs[v]));
      }
    }
  }
};

struct HalfDot : Dot<Ymm> {
  using Half = HalfDot;
};

struct Avx512Bf16 : Dot<Zmm> {
  using Half = HalfDot;
  static constexpr int kRows = 7;
  static constexpr int vectors(int rows) { return rows == 1 ? 8 : rows <= 3 ? 4 : 2; }
};

void round_all(const float* x, std::size_t n, std::uint16_t* out) {
  std::size_t i = 0;
  for (; i + 32 <= n; i += 32) {
    const __m512bh both = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + i + 16), _mm512_loadu_ps(x + i));
    _mm512_storeu_si512(out + i, reinterpret_cast<__m512i>(both));
  }
  for (; i < n; ++i) out[i] = round_bf16(x[i]);
}

}  // namespace

const GemmBf16Kernel gemm_bf16_avx512bf16 = {"gemm_bf16_avx512bf16_7x32", Isa::avx512bf16, 7, 32,
                                             gemm_bf16<Avx512Bf16>,       round_all};

}  // namespace quaver::kernels
