#include "kernels/gemm/gemm_f32_tile.h"
#include "kernels/gemm/gemm_u8_direct.h"
#include "kernels/gemm/variants.h"
#include "kernels/gemm/ymm.h"
#include "kernels/gemm/zmm.h"

namespace quaver::kernels {
namespace {

// Written out: around the intrinsic GCC 12 copies each sum to another register and back.
#ifndef QUAVER_EMULATED
template <class Vec>
[[gnu::always_inline]] inline void add_dot(Vec& acc, Vec row, Vec quads) {
  __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(row), "v"(quads));
}
#else
inline void add_dot(__m256i& acc, __m256i row, __m256i quads) { acc = _mm256_dpbusd_epi32(acc, row, quads); }
inline void add_dot(__m512i& acc, __m512i row, __m512i quads) { acc = _mm512_dpbusd_epi32(acc, row, quads); }
#endif

// Half a vector for the last 8 columns: two such dots take the time of a whole one.
struct HalfVnni {
  using V = Ymm;
  using Half = HalfVnni;
  template <int R, int N>
  static void dot(__m256i (&acc)[R][N], const std::uint8_t* const (&a)[R], std::size_t at,
                  const std::int8_t* const (&w)[N]) {
    __m256i quads[N];
#pragma GCC unroll 16
    for (int v = 0; v < N; ++v) quads[v] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w[v]));
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const __m256i row = _mm256_set1_epi32(read<std::int32_t>(a[r] + at));
#pragma GCC unroll 16
      for (int v = 0; v < N; ++v) add_dot(acc[r][v], row, quads[v]);
    }
  }
};

struct Avx512Vnni {
  using V = Zmm;
  using Half = HalfVnni;
  static constexpr std::size_t kRows = 7;
  static constexpr int vectors(int rows) { return rows == 1 ? 8 : rows <= 3 ? 4 : 2; }

  template <int R, int N>
  static void dot(__m512i (&acc)[R][N], const std::uint8_t* const (&a)[R], std::size_t at,
                  const std::int8_t* const (&w)[N]) {
    __m512i quads[N];
#pragma GCC unroll 16
    for (int v = 0; v < N; ++v) quads[v] = _mm512_loadu_si512(w[v]);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const __m512i row = _mm512_set1_epi32(read<std::int32_t>(a[r] + at));
#pragma GCC unroll 16
      for (int v = 0; v < N; ++v) add_dot(acc[r][v], row, quads[v]);
    }
  }
};

}  // namespace

const GemmU8Kernel gemm_u8_avx512vnni = {"gemm_u8_avx512vnni_7x32", Isa::avx512vnni, {}, 7, 32,
                                         gemm_u8_direct<Avx512Vnni>};
const GemmF32Kernel gemm_f32_avx512vnni = {"gemm_f32_avx512vnni_7x32", Isa::avx512vnni, 7, 32, gemm_f32<Zmm, 7, 2>};

}  // namespace quaver::kernels
