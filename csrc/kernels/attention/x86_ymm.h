// What the AVX2 kernels of attention share. Internal linkage, for kernel files.
#pragma once

#include "kernels/attention/x86_attention.h"
#include "kernels/attention/x86_pack.h"

namespace quaver::kernels {
namespace {

struct YmmU8 {
  static constexpr int kVectors = 2;
  static constexpr bool kF32 = false;
  using Acc = Ints;
  static Acc start(const AttentionArgs& args, const std::int32_t* sums) {
    return (Ints)_mm256_loadu_si256(reinterpret_cast<const __m256i*>(sums)) * -args.q_zero;
  }
  static __m256i quads(const char* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
  static __m256i quad(const char* a) {
    std::int32_t four;
    __builtin_memcpy(&four, a, 4);
    return _mm256_set1_epi32(four);
  }
  static Floats real(Acc acc) { return to_floats(acc); }
};

}  // namespace
}  // namespace quaver::kernels
