#include "kernels/attention/x86_bf16.h"
#include "kernels/attention/x86_ymm.h"

namespace quaver::kernels {
namespace {

struct F32 {
  static constexpr int kRows = 4, kVectors = 2;
  static constexpr bool kF32 = true;
  using Acc = Floats;
  using Weights = Floats;
  static Acc start(const AttentionArgs&, const std::int32_t*) { return Floats{}; }
  static Weights weights(const char* p) { return load_floats(reinterpret_cast<const float*>(p)); }
  static Acc mac(Acc acc, const char* a, Weights w) {
    float one;
    __builtin_memcpy(&one, a, 4);
    return (Floats)_mm256_fmadd_ps(_mm256_set1_ps(one), (__m256)w, (__m256)acc);
  }
  static Floats real(Acc acc) { return acc; }
};

// Exact without a dot instruction: even and odd bytes apart, as words (gemm/x86_avx2.cc).
struct U8 : YmmU8 {
  static constexpr int kRows = 3;
  struct Weights {
    __m256i even, odd;
  };
  static Weights weights(const char* p) {
    const __m256i w = quads(p);
    return {_mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8), _mm256_srai_epi16(w, 8)};
  }
  static Acc mac(Acc acc, const char* a, Weights w) {
    const __m256i bytes = quad(a), even = _mm256_and_si256(bytes, _mm256_set1_epi16(0xFF));
    const __m256i odd = _mm256_srli_epi16(bytes, 8);
    return acc + (Ints)_mm256_madd_epi16(even, w.even) + (Ints)_mm256_madd_epi16(odd, w.odd);
  }
};

}  // namespace

const AttentionKernel kAttentionF32Avx2 = {"attention_f32_avx2", Isa::avx2, AttentionKind::f32, &pack_f32,
                                           &attention<F32>};
const AttentionKernel kAttentionBf16Avx2 = {"attention_bf16_avx2", Isa::avx2, AttentionKind::bf16,
                                            &pack_bf16<gemm_bf16_avx2>, &attention_bf16<gemm_bf16_avx2>};
const AttentionKernel kAttentionU8Avx2 = {"attention_u8_avx2", Isa::avx2, AttentionKind::u8, &pack_u8, &attention<U8>};

}  // namespace quaver::kernels
