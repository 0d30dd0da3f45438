#include "kernels/attention/x86_attention.h"
#include "kernels/attention/x86_bf16.h"
#include "kernels/attention/x86_pack.h"

namespace quaver::kernels {
namespace {

struct F32 {
  static constexpr int kRows = 6, kVectors = 4;
  static constexpr bool kF32 = true;
  using Acc = Floats;
  using Weights = Floats;
  static Acc start(const AttentionArgs&, const std::int32_t*) { return Floats{}; }
  static Weights weights(const char* p) { return load_floats(reinterpret_cast<const float*>(p)); }
  static Acc mac(Acc acc, const char* a, Weights w) {
    float one;
    __builtin_memcpy(&one, a, 4);
    return (Floats)_mm512_fmadd_ps(_mm512_set1_ps(one), (__m512)w, (__m512)acc);
  }
  static Floats real(Acc acc) { return acc; }
};

struct U8 {
  static constexpr int kRows = 6, kVectors = 4;
  static constexpr bool kF32 = false;
  using Acc = Ints;
  using Weights = Ints;
  static Acc start(const AttentionArgs& args, const std::int32_t* sums) {
    return (Ints)_mm512_loadu_si512(sums) * -args.q_zero;
  }
  static Weights weights(const char* p) { return (Ints)_mm512_loadu_si512(p); }
  static Acc mac(Acc acc, const char* a, Weights w) {
    std::int32_t quad;
    __builtin_memcpy(&quad, a, 4);
    return (Ints)_mm512_dpbusd_epi32((__m512i)acc, _mm512_set1_epi32(quad), (__m512i)w);
  }
  static Floats real(Acc acc) { return to_floats(acc); }
};

}  // namespace

const AttentionKernel kAttentionF32Avx512Vnni = {"attention_f32_avx512vnni", Isa::avx512vnni, AttentionKind::f32,
                                                 &pack_f32, &attention<F32>};
const AttentionKernel kAttentionBf16Avx512Vnni = {"attention_bf16_avx512vnni", Isa::avx512vnni, AttentionKind::bf16,
                                                  &pack_bf16<gemm_bf16_avx512vnni>,
                                                  &attention_bf16<gemm_bf16_avx512vnni>};
const AttentionKernel kAttentionU8Avx512Vnni = {"attention_u8_avx512vnni", Isa::avx512vnni, AttentionKind::u8, &pack_u8,
                                                &attention<U8>};

}  // namespace quaver::kernels
