#include "kernels/gemm/gemm_bf16_x86.h"
#include "kernels/gemm/gemm_float_tile.h"
#include "kernels/gemm/gemm_u8_tile.h"
#include "kernels/gemm/variants.h"
#include "kernels/gemm/ymm.h"

namespace quaver::kernels {
namespace {

// Exact without a dot instruction: even and odd bytes apart, as 16-bit words, two vpmaddwd per quad. vpmaddubsw would
// saturate at 16 bits. Rows are split when they are staged, weights in the loop, where all rows share them.
struct Avx2 {
  using V = Ymm;
  static constexpr int kRows = 6, kVectors = 2;
  static constexpr std::size_t kQuadBytes = 8;  // words 0, 2, then 1, 3

  static void stage(std::uint8_t* to, Bytes16 bytes) {
    const __m256i order =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15));
    const __m256i words = _mm256_cvtepu8_epi16(reinterpret_cast<__m128i>(bytes));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_shuffle_epi8(words, order));
  }
  template <int R, int N>
  static void dot(__m256i (&acc)[R][N], const std::uint8_t* a, std::size_t stride, const std::int8_t* const (&w)[N]) {
    __m256i half[N];
#pragma GCC unroll 16
    for (int v = 0; v < N; ++v) half[v] = _mm256_srai_epi16(_mm256_slli_epi16(quads(w[v]), 8), 8);
    add(acc, a, stride, half);
#pragma GCC unroll 16
    for (int v = 0; v < N; ++v) half[v] = _mm256_srai_epi16(quads(w[v]), 8);
    add(acc, a + 4, stride, half);
  }
  template <int N>
  static void start(__m256i (&)[N], const std::int8_t*, std::size_t, std::size_t) {}

 private:
  static __m256i quads(const std::int8_t* w) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w)); }

  template <int R, int N>
  static void add(__m256i (&acc)[R][N], const std::uint8_t* a, std::size_t stride, const __m256i (&half)[N]) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const __m256i words = _mm256_set1_epi32(read<std::int32_t>(a + r * stride));
#pragma GCC unroll 16
      for (int v = 0; v < N; ++v) {
        // Keeps the compiler from adding the products of both halves first, for which there are no registers.
        __asm__("vpaddd %1, %0, %0" : "+x"(acc[r][v]) : "x"(_mm256_madd_epi16(words, half[v])));
      }
    }
  }
};

struct Float : F32<Ymm> {
  using Half = Float;
  static constexpr int kRows = 6;
  static constexpr int vectors(int rows) { return rows == 1 ? 8 : rows <= 3 ? 4 : 2; }
};

// Fewer sums, because the halves of pairs take registers too.
struct Bf16 : Widened<Ymm> {
  using Half = Bf16;
  static constexpr int kRows = 5;
  static constexpr int vectors(int rows) { return rows <= 2 ? 4 : 2; }
};

}  // namespace

const GemmU8Kernel gemm_u8_avx2 = {"gemm_u8_avx2_6x16", Isa::avx2, {}, 6, 16, gemm_u8<Avx2>};
const GemmF32Kernel gemm_f32_avx2 = {"gemm_f32_avx2_6x16", Isa::avx2, 6, 16, gemm_float<Float>};
const GemmBf16Kernel gemm_bf16_avx2 = {"gemm_bf16_avx2_5x16", Isa::avx2, 5, 16, gemm_bf16<Bf16>, round_bf16_all<Ymm>};

}  // namespace quaver::kernels
