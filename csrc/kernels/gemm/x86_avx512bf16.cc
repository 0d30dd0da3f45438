#include "kernels/gemm/gemm_bf16_round.h"
#include "kernels/gemm/gemm_bf16_x86.h"
#include "kernels/gemm/variants.h"
#include "kernels/gemm/ymm.h"
#include "kernels/gemm/zmm.h"

namespace quaver::kernels {
namespace {

// The pairs of one sum, from a row of odd values of both sums and one of even values.
template <int kChain>
inline __m512i pairs_of(__m512i odd, __m512i even) {
  return kChain ? _mm512_mask_blend_epi16(0x55555555, odd, _mm512_srli_epi32(even, 16))
                : _mm512_mask_blend_epi16(0xAAAAAAAA, even, _mm512_slli_epi32(odd, 16));
}
template <int kChain>
inline __m256i pairs_of(__m256i odd, __m256i even) {
  return kChain ? _mm256_blend_epi16(odd, _mm256_srli_epi32(even, 16), 0x55)
                : _mm256_blend_epi16(even, _mm256_slli_epi32(odd, 16), 0xAA);
}

template <class Vec>
struct Dot : Bf16Tile<Vec> {
  using V = Vec;
  using Tile = Bf16Tile<Vec>;

  template <std::size_t kValues, int kChain, int R, int N>
  [[gnu::always_inline]] static void step(typename V::F (&acc)[R][N], const std::uint16_t* const (&rows)[R],
                                          const std::uint16_t* const (&w)[N]) {
    typename V::I pairs[N];
#pragma GCC unroll 16
    for (int v = 0; v < N; ++v) pairs[v] = pairs_of<kChain>(Tile::load(w[v]), Tile::load(w[v] + Tile::kRow));
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

}  // namespace

const GemmBf16Kernel gemm_bf16_avx512bf16 = {"gemm_bf16_avx512bf16_7x32", Isa::avx512bf16, 7, 32,
                                             gemm_bf16<Avx512Bf16>,       round_all};

}  // namespace quaver::kernels
