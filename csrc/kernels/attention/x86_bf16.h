// What lies between the products of attention in bf16, for any vector width. Internal linkage, for kernel files.
#pragma once

#include "kernels/attention/bf16.h"
#if defined(__AVX512BW__)
#include "kernels/gemm/zmm.h"
#else
#include "kernels/gemm/ymm.h"
#endif
#include "kernels/softmax/exp_x86.h"

namespace quaver::kernels {
namespace {

inline void store_rounded(std::uint16_t* to, Floats x) {
#if defined(__AVX512BF16__)
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), (__m256i)_mm512_cvtneps_pbh((__m512)x));
#elif defined(__AVX512BW__)
  Zmm::store_upper(to, Zmm::round_upper((__m512)x));
#else
  Ymm::store_upper(to, Ymm::round_upper((__m256)x));
#endif
}

// The greatest of a row's scores, which are scaled and masked; those that pad a panel are −inf.
inline float scaled_scores(const AttentionArgs& args, std::size_t i, float* x) {
  const float* mask = args.mask ? args.mask + i * args.mask_stride : nullptr;
  const Floats scale = splat(args.scale);
  Floats most = splat(-__builtin_inff());
  std::size_t j = 0;
  const auto take = [&](Floats y) {
    store_floats(x + j, y);
    most = greater(y, most);
  };
  if (mask) {
    for (; j + kLanes <= args.keys; j += kLanes) take(fused(load_floats(x + j), scale, load_floats(mask + j)));
  } else {
    for (; j + kLanes <= args.keys; j += kLanes) take(load_floats(x + j) * scale);
  }
  float m = greatest(most);
  for (; j < args.keys; ++j) {
    x[j] = mask ? __builtin_fmaf(x[j], args.scale, mask[j]) : x[j] * args.scale;
    m = x[j] > m ? x[j] : m;
  }
  for (; j % kAttentionPanel != 0; ++j) x[j] = -__builtin_inff();
  return m;
}

// A row's e as bf16, and their sum.
inline float weigh_bf16(const float* x, std::size_t keys, float most, std::uint16_t* w) {
  const Floats m = splat(most);
  LaneSums sums;
  for (std::size_t j = 0; j < keys; j += kVirtualLanes) {
#pragma GCC unroll 2
    for (std::size_t v = 0; v < LaneSums::kVectors; ++v) {
      const Floats e = exp_lanes(load_floats(x + j + v * kLanes) - m);
      store_rounded(w + j + v * kLanes, e);
      sums.v[v] = sums.v[v] + e;
    }
  }
  return sums.sum();
}

inline void divide(float* c, std::size_t n, float by) {
  std::size_t o = 0;
  for (; o + kLanes <= n; o += kLanes) store_floats(c + o, load_floats(c + o) / by);
  for (; o < n; ++o) c[o] = c[o] / by;
}

template <const GemmBf16Kernel& kGemm>
void attention_bf16(const AttentionArgs& args) {
  const Bf16Scratch s(args);
  float sums[kAttentionRowsBf16];
  for (std::size_t i = 0; i < args.rows; i += kAttentionRowsBf16) {
    const std::size_t rows = args.rows - i < kAttentionRowsBf16 ? args.rows - i : kAttentionRowsBf16;
    score_bf16<kGemm>(args, s, i, rows);
    for (std::size_t r = 0; r < rows; ++r) {
      float* x = s.x + r * s.padded;
      sums[r] = weigh_bf16(x, args.keys, scaled_scores(args, i + r, x), s.w + r * s.padded);
    }
    sum_bf16<kGemm>(args, s, i, rows);
    for (std::size_t r = 0; r < rows; ++r) {
      float* c = static_cast<float*>(args.c) + (i + r) * args.c_stride;
      const bool nothing =
          (args.nan_is_zero && sums[r] != sums[r]) || (args.hidden_is_zero && shows_nothing(args, i + r));
      if (nothing) {
        for (std::size_t o = 0; o < args.v_depth; ++o) c[o] = 0;
      } else {
        divide(c, args.v_depth, sums[r]);
      }
    }
  }
}

}  // namespace
}  // namespace quaver::kernels
