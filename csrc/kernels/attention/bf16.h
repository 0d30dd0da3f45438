// Attention in bf16 by the products of gemm/gemm_bf16.h. Internal linkage, for kernel files.
#pragma once

#include "kernels/attention/attention.h"
#include "kernels/gemm/bf16.h"
#include "kernels/gemm/variants.h"

namespace quaver::kernels {
namespace {

// What a block of rows leaves between its two products.
struct Bf16Scratch {
  explicit Bf16Scratch(const AttentionArgs& args)
      : padded(attention_pad(args.keys, 64)), q_padded(attention_pad(args.depth, 64)) {
    x = static_cast<float*>(args.scratch);
    bias = x + kAttentionRowsBf16 * padded;
    const std::size_t columns = padded + attention_pad(args.v_depth, 64);
    __builtin_memset(bias, 0, columns * sizeof(float));
    w = reinterpret_cast<std::uint16_t*>(bias + columns);
    q = w + kAttentionRowsBf16 * padded;
  }

  std::size_t padded, q_padded;
  float *x, *bias;       // scores [kAttentionRowsBf16][padded]
  std::uint16_t *w, *q;  // e, likewise; rows of q, rounded [kAttentionRowsBf16][q_padded]
};

// Whether a row's mask hides all keys.
[[maybe_unused]] inline bool shows_nothing(const AttentionArgs& args, std::size_t i) {
  if (!args.mask) return false;
  const float* mask = args.mask + i * args.mask_stride;
  for (std::size_t j = 0; j < args.keys; ++j) {
    if (mask[j] != -__builtin_inff()) return false;
  }
  return true;
}

// x = q kᵀ of `rows` rows from the i-th on.
template <const GemmBf16Kernel& kGemm>
void score_bf16(const AttentionArgs& args, const Bf16Scratch& s, std::size_t i, std::size_t rows) {
  const float* q = static_cast<const float*>(args.q) + i * args.q_stride;
  GemmBf16Args g;
  g.m = rows, g.n = args.keys, g.k = args.depth;
  g.a_is_f32 = kGemm.rounds;
  if (g.a_is_f32) {
    g.a = reinterpret_cast<const std::uint16_t*>(q);
    g.a_stride = args.q_stride * sizeof(float);
  } else {
    for (std::size_t r = 0; r < rows; ++r) kGemm.round(q + r * args.q_stride, args.depth, s.q + r * s.q_padded);
    g.a = s.q;
    g.a_stride = s.q_padded * sizeof(std::uint16_t);
  }
  g.w = static_cast<const std::uint16_t*>(args.k);
  g.bias = s.bias;
  g.c = s.x;
  g.c_stride = s.padded * sizeof(float);
  kGemm.run(g);
}

// Their results, not divided yet.
template <const GemmBf16Kernel& kGemm>
void sum_bf16(const AttentionArgs& args, const Bf16Scratch& s, std::size_t i, std::size_t rows) {
  GemmBf16Args g;
  g.m = rows, g.n = args.v_depth, g.k = args.keys;
  g.a = s.w;
  g.a_stride = s.padded * sizeof(std::uint16_t);
  g.w = static_cast<const std::uint16_t*>(args.v);
  g.bias = s.bias;
  g.c = static_cast<float*>(args.c) + i * args.c_stride;
  g.c_stride = args.c_stride * sizeof(float);
  kGemm.run(g);
}

// Pairs along k lie as bf16_place() says. Values are rounded in runs of a panel.
template <const GemmBf16Kernel& kGemm>
[[maybe_unused]] void pack_bf16(const AttentionPackArgs& args) {
  constexpr std::size_t kPanel = kGemmBf16Panel, kRun = 2 * kBf16Pairs;
  const std::size_t k_panel = attention_pad(args.depth, kRun) * kPanel;
  auto* to = static_cast<std::uint16_t*>(args.packed_k);
  __builtin_memset(to, 0, attention_packed_k(AttentionKind::bf16, args.keys, args.depth));
  for (std::size_t j = 0; j < args.keys; ++j) {
    const float* k = static_cast<const float*>(args.k) + j * args.k_stride;
    std::uint16_t* column = to + j / kPanel * k_panel + j % kPanel * 2;
    for (std::size_t p = 0; p < args.depth; p += kRun, column += kRun * kPanel) {
      const std::size_t count = args.depth - p < kRun ? args.depth - p : kRun;
      std::uint16_t run[kRun];
      kGemm.round(k + p, count, run);
      for (std::size_t h = 0; h < count; ++h) column[bf16_place(h / 2, h % 2)] = run[h];
    }
  }
  to = static_cast<std::uint16_t*>(args.packed_v);
  __builtin_memset(to, 0, attention_packed_v(AttentionKind::bf16, args.keys, args.v_depth));
  for (std::size_t first = 0; first < args.v_depth; first += kPanel) {
    const std::size_t count = args.v_depth - first < kPanel ? args.v_depth - first : kPanel;
    for (std::size_t j = 0; j < args.keys; ++j) {
      std::uint16_t run[kPanel];
      kGemm.round(static_cast<const float*>(args.v) + j * args.v_stride + first, count, run);
      std::uint16_t* row = to + bf16_place(j / 2, j % 2);
      for (std::size_t o = 0; o < count; ++o) row[2 * o] = run[o];
    }
    to += attention_pad(args.keys, kRun) * kPanel;
  }
}

}  // namespace
}  // namespace quaver::kernels
