#include "kernels/gemm/gemm_u8_direct.h"
#include "kernels/gemm/variants.h"
#include "kernels/gemm/ymm.h"

namespace quaver::kernels {
namespace {

struct AvxVnni {
  using V = Ymm;
  using Half = AvxVnni;
  static constexpr std::size_t kRows = 6;
  static constexpr int vectors(int rows) { return rows <= 2 ? 4 : 2; }
  static constexpr int kHeldQuads = 0;

  static void add_dot(__m256i& acc, __m256i a, __m256i w) { acc = _mm256_dpbusd_avx_epi32(acc, a, w); }
};

}  // namespace

const GemmU8Kernel gemm_u8_avxvnni = {"gemm_u8_avxvnni_6x16", Isa::avxvnni, {}, 6, 16, gemm_u8_direct<AvxVnni>};

}  // namespace quaver::kernels
