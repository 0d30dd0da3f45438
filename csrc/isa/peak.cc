#include "isa/peak.h"

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstring>
#include <mutex>

#include "base/aligned.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace quaver {
namespace {

constexpr int kSteps = 4096;        // per call, enough that the call itself does not count
constexpr double kSeconds = 0.004;  // of one measurement; the best of several is the peak
constexpr int kMeasurements = 8;
constexpr std::size_t kMinBits = 12, kMaxBits = 27;  // footprints from 4 KiB to 128 MiB

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Calls a second.
template <class Call>
double best_rate(Call call) {
  double best = 0;
  for (int i = 0; i < kMeasurements; ++i) {
    const double start = now();
    double passed = 0;
    long calls = 0;
    for (; passed < kSeconds; passed = now() - start, ++calls) call();
    best = std::max(best, static_cast<double>(calls) / passed);
  }
  return best;
}

#if defined(__x86_64__)

// 12 chains of accumulators hide the latency of every instruction here and leave registers for the operands. The empty
// asm statements keep the compiler from seeing through the loop, and from multiplying once for all chains.
#define QUAVER_PEAK_LOOP(name, isa, Vec, zero, step)                       \
  __attribute__((target(isa))) void name() {                               \
    Vec acc[12], a = zero(), b = zero();                                   \
    _Pragma("GCC unroll 12") for (int i = 0; i < 12; ++i) acc[i] = zero(); \
    asm volatile("" : "+v"(a), "+v"(b));                                   \
    for (int s = 0; s < kSteps; ++s) {                                     \
      _Pragma("GCC unroll 12") for (int i = 0; i < 12; ++i) {              \
        acc[i] = step;                                                     \
        asm volatile("" : "+v"(acc[i]), "+v"(a));                          \
      }                                                                    \
    }                                                                      \
  }

// The exact int8 product without VNNI: vpmaddwd and vpaddd, 16 products a pair.
QUAVER_PEAK_LOOP(u8_avx2, "avx2", __m256i, _mm256_setzero_si256, _mm256_add_epi32(acc[i], _mm256_madd_epi16(a, b)))
QUAVER_PEAK_LOOP(u8_avxvnni, "avx2,avxvnni", __m256i, _mm256_setzero_si256, _mm256_dpbusd_avx_epi32(acc[i], a, b))
QUAVER_PEAK_LOOP(u8_avx512vnni, "avx512f,avx512vnni", __m512i, _mm512_setzero_si512, _mm512_dpbusd_epi32(acc[i], a, b))
QUAVER_PEAK_LOOP(f32_avx2, "avx2,fma", __m256, _mm256_setzero_ps, _mm256_fmadd_ps(a, b, acc[i]))
QUAVER_PEAK_LOOP(f32_avx512, "avx512f", __m512, _mm512_setzero_ps, _mm512_fmadd_ps(a, b, acc[i]))
QUAVER_PEAK_LOOP(bf16_avx512, "avx512f,avx512bf16", __m512, _mm512_setzero_ps,
                 _mm512_dpbf16_ps(acc[i], reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b)))

// Four tiles of sums hide the latency of their products, of whole tiles each.
#define QUAVER_PEAK_TILES(name, dot)                                                                                \
  __attribute__((target("avx512f"))) void name() {                                                                  \
    struct alignas(64) {                                                                                            \
      std::uint8_t palette = 1, start_row = 0, reserved[14] = {};                                                   \
      std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};                                               \
      std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};                                                     \
    } config;                                                                                                       \
    asm volatile("ldtilecfg %0" ::"m"(config));                                                                     \
    for (int s = 0; s < kSteps; ++s) {                                                                              \
      asm volatile(dot " %tmm6, %tmm4, %tmm0\n\t" dot " %tmm7, %tmm4, %tmm1\n\t" dot " %tmm6, %tmm5, %tmm2\n\t" dot \
                       " %tmm7, %tmm5, %tmm3");                                                                     \
    }                                                                                                               \
    asm volatile("tilerelease");                                                                                    \
  }

QUAVER_PEAK_TILES(u8_amx, "tdpbusd")
QUAVER_PEAK_TILES(bf16_amx, "tdpbf16ps")

#endif

double measure_u8(Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::avx2: return 12.0 * kSteps * 16 * best_rate(&u8_avx2);
    case Isa::avxvnni: return 12.0 * kSteps * 32 * best_rate(&u8_avxvnni);
    case Isa::avx512vnni:
    case Isa::avx512vbmi:
    case Isa::avx512bf16: return 12.0 * kSteps * 64 * best_rate(&u8_avx512vnni);
    case Isa::amx: return 4.0 * kSteps * 16 * 16 * 64 * best_rate(&u8_amx);
#endif
    default: return 0;
  }
}

double measure_f32(Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::avx2:
    case Isa::avxvnni: return 12.0 * kSteps * 8 * best_rate(&f32_avx2);
    case Isa::avx512vnni:
    case Isa::avx512vbmi: return 12.0 * kSteps * 16 * best_rate(&f32_avx512);
    case Isa::avx512bf16: return 12.0 * kSteps * 32 * best_rate(&bf16_avx512);
    case Isa::amx: return 4.0 * kSteps * 16 * 16 * 32 * best_rate(&bf16_amx);
#endif
    default: return 0;
  }
}

double measure_copy(std::size_t bytes) {
  AlignedBuffer from(bytes / 2), to(bytes / 2);
  std::memset(from.data(), 1, from.size());
  return static_cast<double>(bytes) * best_rate([&] {
           std::memcpy(to.data(), from.data(), from.size());
           asm volatile("" : : "r"(to.data()) : "memory");
         });
}

// measure(i), the first time for each i.
template <std::size_t kCount, double (*measure)(std::size_t)>
double remembered(std::size_t i) {
  static std::array<std::once_flag, kCount> once;
  static std::array<double, kCount> known;
  std::call_once(once[i], [i] { known[i] = measure(i); });
  return known[i];
}

double u8_by_index(std::size_t i) { return measure_u8(static_cast<Isa>(i)); }
double f32_by_index(std::size_t i) { return measure_f32(static_cast<Isa>(i)); }
double copy_by_bits(std::size_t i) { return measure_copy(std::size_t{1} << (kMinBits + i)); }

}  // namespace

double peak_u8(Isa isa) { return remembered<kIsaCount, u8_by_index>(static_cast<std::size_t>(isa)); }
double peak_f32(Isa isa) { return remembered<kIsaCount, f32_by_index>(static_cast<std::size_t>(isa)); }

double peak_copy(std::size_t bytes) {
  const auto bits = static_cast<std::size_t>(std::bit_width(std::max<std::size_t>(bytes, 2) - 1));
  return remembered<kMaxBits - kMinBits + 1, copy_by_bits>(std::clamp(bits, kMinBits, kMaxBits) - kMinBits);
}

}  // namespace quaver
