#include "native/peak.h"

#include <algorithm>

#include "native/clock.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace quaver::bench {
namespace {

constexpr int kSteps = 4096;       // per call, enough that the call itself does not count
constexpr double kSeconds = 0.02;  // of one measurement; the best of several is the peak
constexpr int kMeasurements = 10;

double best_of(void (*loop)(), double macs) {
  double best = 0;
  for (int i = 0; i < kMeasurements; ++i) best = std::max(best, macs / seconds_of(loop, kSeconds));
  return best;
}

#if defined(__x86_64__)

// 12 chains of accumulators hide the latency of every instruction here and leave registers for the operands. The empty
// asm statements keep the compiler from seeing through the loop.
#define QUAVER_PEAK_LOOP(name, isa, Vec, zero, step)                       \
  __attribute__((target(isa))) void name() {                               \
    Vec acc[12], a = zero(), b = zero();                                   \
    _Pragma("GCC unroll 12") for (int i = 0; i < 12; ++i) acc[i] = zero(); \
    asm volatile("" : "+v"(a), "+v"(b));                                   \
    for (int s = 0; s < kSteps; ++s) {                                     \
      _Pragma("GCC unroll 12") for (int i = 0; i < 12; ++i) {              \
        acc[i] = step;                                                     \
        asm volatile("" : "+v"(acc[i]));                                   \
      }                                                                    \
    }                                                                      \
  }

// The exact int8 product without VNNI: vpmaddwd and vpaddd, 16 products a pair.
QUAVER_PEAK_LOOP(u8_avx2, "avx2", __m256i, _mm256_setzero_si256, _mm256_add_epi32(acc[i], _mm256_madd_epi16(a, b)))
QUAVER_PEAK_LOOP(u8_avxvnni, "avx2,avxvnni", __m256i, _mm256_setzero_si256, _mm256_dpbusd_avx_epi32(acc[i], a, b))
QUAVER_PEAK_LOOP(u8_avx512vnni, "avx512f,avx512vnni", __m512i, _mm512_setzero_si512, _mm512_dpbusd_epi32(acc[i], a, b))
QUAVER_PEAK_LOOP(f32_avx2, "avx2,fma", __m256, _mm256_setzero_ps, _mm256_fmadd_ps(a, b, acc[i]))
QUAVER_PEAK_LOOP(f32_avx512, "avx512f", __m512, _mm512_setzero_ps, _mm512_fmadd_ps(a, b, acc[i]))

#endif

}  // namespace

double peak_u8(Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::avx2: return best_of(&u8_avx2, 12.0 * kSteps * 16);
    case Isa::avxvnni: return best_of(&u8_avxvnni, 12.0 * kSteps * 32);
    case Isa::avx512vbmi:
    case Isa::avx512vnni: return best_of(&u8_avx512vnni, 12.0 * kSteps * 64);
#endif
    default: return 0;
  }
}

double peak_f32(Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::avx2: return best_of(&f32_avx2, 12.0 * kSteps * 8);
    case Isa::avx512vbmi:
    case Isa::avx512vnni: return best_of(&f32_avx512, 12.0 * kSteps * 16);
#endif
    default: return 0;
  }
}

}  // namespace quaver::bench
