#include "kernels/attention/x86_ymm.h"

namespace quaver::kernels {
namespace {

struct U8 : YmmU8 {
  static constexpr int kRows = 4;
  using Weights = __m256i;
  static Weights weights(const char* p) { return quads(p); }
  static Acc mac(Acc acc, const char* a, Weights w) { return (Ints)_mm256_dpbusd_avx_epi32((__m256i)acc, quad(a), w); }
};

}  // namespace

const AttentionKernel kAttentionU8AvxVnni = {"attention_u8_avxvnni", Isa::avxvnni, AttentionKind::u8, &pack_u8,
                                             &attention<U8>};

}  // namespace quaver::kernels
