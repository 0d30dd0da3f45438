// Packing of keys and values in bf16 by AVX-512 BF16. Internal linkage, for kernel files.
#pragma once

#include "kernels/attention/x86_pack.h"
#include "kernels/gemm/gemm_bf16_round.h"

namespace quaver::kernels {
namespace {

constexpr std::size_t kRun = 2 * kBf16Pairs;

inline __mmask16 lanes(std::size_t count) { return static_cast<__mmask16>((1U << (count < 16 ? count : 16)) - 1); }

// Up to 32 values of a row as a stretch has them, zeros after the last.
inline __m512i stretch_of(const float* x, std::size_t count) {
  const std::size_t high = count > 16 ? count - 16 : 0;
  const __m512 rest = high ? _mm512_maskz_loadu_ps(lanes(high), x + 16) : _mm512_setzero_ps();
  return in_turn(_mm512_maskz_loadu_ps(lanes(count), x), rest);
}

inline void pack_k_stretches(const AttentionPackArgs& args) {
  auto* to = static_cast<float*>(args.packed_k);
  for (std::size_t first = 0; first < args.keys; first += kAttentionPanel) {
    const float* k = static_cast<const float*>(args.k) + first * args.k_stride;
    const std::size_t count = args.keys - first < kAttentionPanel ? args.keys - first : kAttentionPanel;
    for (std::size_t p = 0; p < args.depth; p += kRun, to += kAttentionPanel * kAttentionPanel) {
      alignas(64) float rows[kAttentionPanel * kAttentionPanel];
      for (std::size_t j = 0; j < kAttentionPanel; ++j) {
        _mm512_store_si512(rows + j * kAttentionPanel,
                           j < count ? stretch_of(k + j * args.k_stride + p, args.depth - p) : _mm512_setzero_si512());
      }
      for (std::size_t r = 0; r < kAttentionPanel; r += 8) {
        for (std::size_t c = 0; c < kAttentionPanel; c += 8) {
          transpose_eight(rows + r * kAttentionPanel + c, kAttentionPanel, to + c * kAttentionPanel + r,
                          kAttentionPanel);
        }
      }
    }
  }
}

// What both sums of a stretch multiply next: two rows of values, side by side.
inline void pack_v_stretches(const AttentionPackArgs& args) {
  alignas(64) static constexpr std::uint16_t kSides[] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                         8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  auto* to = static_cast<std::uint16_t*>(args.packed_v);
  for (std::size_t first = 0; first < args.v_depth; first += kAttentionPanel) {
    const __mmask16 columns = lanes(args.v_depth - first);
    const auto row = [&](std::size_t j) {
      const float* v = static_cast<const float*>(args.v) + j * args.v_stride + first;
      return j < args.keys ? _mm512_maskz_loadu_ps(columns, v) : _mm512_setzero_ps();
    };
    for (std::size_t j = 0; j < args.keys; j += kRun) {
      for (std::size_t r = 0; r < kRun / 2; ++r, to += kRun) {
        const std::size_t at = j + (r ^ 1);  // a pair's odd value first
        const __m512bh both = _mm512_cvtne2ps_pbh(row(at + kRun / 2), row(at));
        _mm512_storeu_si512(to, _mm512_permutexvar_epi16(_mm512_load_si512(kSides), reinterpret_cast<__m512i>(both)));
      }
    }
  }
}

void pack_bf16_stretches(const AttentionPackArgs& args) {
  pack_k_stretches(args);
  pack_v_stretches(args);
}

}  // namespace
}  // namespace quaver::kernels
