#include "kernels/gemm/gemm_bf16_x86.h"
#include "kernels/gemm/gemm_float_tile.h"
#include "kernels/gemm/gemm_u8_direct.h"
#include "kernels/gemm/variants.h"
#include "kernels/gemm/ymm.h"
#include "kernels/gemm/zmm.h"

namespace quaver::kernels {
namespace {

template <class Vec>
struct Vnni {
  using V = Vec;
#ifndef QUAVER_EMULATED
  // Written out: around the intrinsic GCC 12 copies each sum to another register and back.
  static void add_dot(typename V::I& acc, typename V::I a, typename V::I w) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(a), "v"(w));
  }
#else
  static void add_dot(__m256i& acc, __m256i a, __m256i w) { acc = _mm256_dpbusd_epi32(acc, a, w); }
  static void add_dot(__m512i& acc, __m512i a, __m512i w) { acc = _mm512_dpbusd_epi32(acc, a, w); }
#endif
};

// Half a vector for the last 8 columns: two such dots take the time of a whole one.
struct HalfVnni : Vnni<Ymm> {
  using Half = HalfVnni;
};

struct Avx512Vnni : Vnni<Zmm> {
  using Half = HalfVnni;
  static constexpr std::size_t kRows = 7;
  static constexpr int vectors(int rows) { return rows == 1 ? 8 : rows <= 3 ? 4 : 2; }
  static constexpr int kHeldQuads = 12;
};

// Tiles of floats, in fp32 or bf16.
template <template <class> class Base>
struct HalfFloat : Base<Ymm> {
  using Half = HalfFloat;
};

template <template <class> class Base>
struct Float : Base<Zmm> {
  using Half = HalfFloat<Base>;
  static constexpr int kRows = 7;
  static constexpr int vectors(int rows) { return rows == 1 ? 8 : rows <= 3 ? 4 : 2; }
};

}  // namespace

const GemmU8Kernel gemm_u8_avx512vnni = {"gemm_u8_avx512vnni_7x32", Isa::avx512vnni, {}, 7, 32,
                                         gemm_u8_direct<Avx512Vnni>};
const GemmF32Kernel gemm_f32_avx512vnni = {"gemm_f32_avx512vnni_7x32", Isa::avx512vnni, 7, 32, gemm_float<Float<F32>>};
const GemmBf16Kernel gemm_bf16_avx512vnni = {"gemm_bf16_avx512vnni_7x32", Isa::avx512vnni,    7, 32,
                                             gemm_bf16<Float<Widened>>,   round_bf16_all<Zmm>};

}  // namespace quaver::kernels
