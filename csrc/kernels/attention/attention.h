// Attention of one head: c = softmax(q kᵀ · scale + mask) v, a block of query rows at a time, so that scores never
// leave the first-level cache.
//
// For a query row i < rows, key j < keys, depths p < depth and o < v_depth:
//
// attention_f32:
//   s       = 0; for p in order: s = fma(q[i][p], k[j][p], s)
//   x[j]    = s · scale, or fma(s, scale, mask[i][j]) where a mask is given
//   m       = max_j x[j]                           x replaces m only where x > m; from −inf
//   e[j]    = exp(x[j] − m)                        the polynomial of softmax/exp.h
//   t       = Σ e[j] in 16 lanes, as sum_f32 in reduce/reduce.h
//   y       = 0; for j in order: y = fma(e[j], v[j][o], y)
//   c[i][o] = y / t                                all 0 where t is NaN and `nan_is_zero`, or all mask[i][j] are −inf
//                                                  and `hidden_is_zero`
//
// attention_bf16: the same, with q, k, v and e[j] rounded to bf16 and both sums as gemm/gemm_bf16.h takes them, from
// a bias of 0; t is of the e[j] before they are rounded.
//
// attention_u8:
//   acc     = Σ_p q[i][p] · k'[j][p] − q_zero · Σ_p k'[j][p]          exact int32; k' = k − 128
//   x[j], m = as above, from float(acc)
//   w[j]    = rne(weight(x[j] − m))                                   a byte: 255 · e^d within 0.03, 0 for a NaN
//   t       = Σ w[j]                                                  exact int32
//   acc     = Σ_j w[j] · v'[j][o] − (v_zero − 128) · t                exact int32; v' = v − 128
//   y       = float(acc) · (mul / float(t)), 0 where t = 0
//   c[i][o] = y, or rne(min(max(y, lo), hi)) + zero as a byte
//
// The zero point of k adds the same to all scores of a row, which softmax does not see. Weights are bytes relative to
// the greatest of their row, and their sum is divided out at the end, so that each row has all 8 bits.
//
// weight(d): d replaces −8 where d > −8; s = fma(d, log2 e, 1.5 · 2^23); n = s − 1.5 · 2^23; r = fma(d, log2 e, −n);
// kAttentionWeight's polynomial in r by Horner's rule with fused multiply-adds, times 2^n.
//
// Every operation is one IEEE single operation in the order written. mask[i][j] lies at mask + i · mask_stride + j (in
// floats; a stride of 0 gives all rows one mask). Strides of q and c are in elements. keys ≥ 1; depth, v_depth ≥ 1.
// k and v are packed (below). Kernels read exactly what the shapes say.
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa/isa.h"

namespace quaver::kernels {

struct AttentionArgs {
  std::size_t rows = 0, keys = 0, depth = 0, v_depth = 0;
  const void* q = nullptr;  // [rows][depth]
  std::size_t q_stride = 0;
  const void* k = nullptr;  // packed, as is v
  const void* v = nullptr;
  const float* mask = nullptr;
  std::size_t mask_stride = 0;
  float scale = 1;
  void* scratch = nullptr;  // attention_scratch() bytes, aligned to 64
  void* c = nullptr;        // [rows][v_depth]
  std::size_t c_stride = 0;
  bool nan_is_zero = false, hidden_is_zero = false;  // floats alone
  // u8 alone; scale = that of q · k, mul = v's scale, over c's where c is u8.
  std::int32_t q_zero = 0, v_zero = 0;
  bool c_u8 = false;
  float mul = 1, lo = -255, hi = 255;
  std::int32_t zero = 0;
};

// Packing of keys and values [keys][depth], rows `stride` elements apart.
struct AttentionPackArgs {
  std::size_t keys = 0, depth = 0, v_depth = 0;
  const void* k = nullptr;
  const void* v = nullptr;
  std::size_t k_stride = 0, v_stride = 0;
  void* packed_k = nullptr;  // attention_packed_k() bytes
  void* packed_v = nullptr;
};

enum class AttentionKind : std::uint8_t { f32, bf16, u8 };

struct AttentionKernel {
  const char* name;
  Isa isa;
  AttentionKind kind;
  void (*pack)(const AttentionPackArgs&);
  void (*run)(const AttentionArgs&);
};

// Layouts, of panels of 16: keys for k, columns for v.
//   f32   k[j][p] at ((j / 16) · depth + p) · 16 + j % 16;  v[j][o] at ((o / 16) · keys + j) · 16 + o % 16
//   u8    n16k4 (gemm/gemm_u8.h) of the bytes xor 0x80, k with keys as its columns, v with keys along k
//         (keys rounded up to 16 there); behind k, one int32 for each padded key: Σ_p k'[j][p]
//   bf16  as gemm/gemm_bf16.h packs weights, k with keys as its columns, v with keys along k
inline constexpr std::size_t kAttentionPanel = 16;
constexpr std::size_t attention_pad(std::size_t n, std::size_t to) { return (n + to - 1) / to * to; }
// Bytes of a panel's column whose k is `along`, sums left out.
constexpr std::size_t attention_column(AttentionKind kind, std::size_t along, std::size_t quad) {
  if (kind == AttentionKind::f32) return along * sizeof(float);
  if (kind == AttentionKind::bf16) return attention_pad(along, 32) * sizeof(std::uint16_t);
  return attention_pad(along, quad);
}
constexpr std::size_t attention_packed_k(AttentionKind kind, std::size_t keys, std::size_t depth) {
  const std::size_t sums = kind == AttentionKind::u8 ? sizeof(std::int32_t) : 0;
  return attention_pad(keys, kAttentionPanel) * (attention_column(kind, depth, 4) + sums);
}
constexpr std::size_t attention_packed_v(AttentionKind kind, std::size_t keys, std::size_t v_depth) {
  return attention_pad(v_depth, kAttentionPanel) * attention_column(kind, keys, kAttentionPanel);
}
inline constexpr float kAttentionWeight[] = {14.0272743F, 61.7638055F, 176.787148F, 255.0F};

// Rows of a block at most; of scores, of masks, and what a block's rows of q are staged to. bf16: of scores, e and q,
// and zeros for a bias.
inline constexpr std::size_t kAttentionRows = 6, kAttentionRowsBf16 = 32;
constexpr std::size_t attention_scratch(AttentionKind kind, std::size_t keys, std::size_t depth, std::size_t v_depth) {
  const std::size_t along = attention_pad(keys, 64), deep = attention_pad(depth, 64);
  if (kind != AttentionKind::bf16) {
    return attention_pad(kAttentionRows * (along * (2 * sizeof(float) + 1) + deep * sizeof(float)), 64);
  }
  const std::size_t row = along * (sizeof(float) + sizeof(std::uint16_t)) + deep * sizeof(std::uint16_t);
  return kAttentionRowsBf16 * row + (along + attention_pad(v_depth, 64)) * sizeof(float);
}

struct AttentionList {
  const AttentionKernel* const* items;
  std::size_t size;
};
AttentionList attention_kernels();
const AttentionKernel& pick_attention(IsaSet set, AttentionKind kind);

}  // namespace quaver::kernels
