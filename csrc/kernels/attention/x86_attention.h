// Attention for any vector width and element that a trait T describes. Internal linkage, for kernel files.
//
// Both products walk along k in steps of four bytes of a row (a float, or four bytes) and 64 bytes of a panel, so that
// one tile serves scores and results, fp32 and u8.
//
//   T::kRows, T::kF32            rows of a block; which of the two kernels
//   T::Acc                       kLanes sums
//   T::start(args, sums)         start values of scores
//   T::weights(p)                kLanes of a panel's step, as mac takes them
//   T::mac(acc, a, w)            acc + the product of a row's step at a, spread over the lanes, and w
//   T::real(acc)                 sums as floats
#pragma once

#include "kernels/attention/lists.h"
#include "kernels/bytes_x86.h"
#include "kernels/rounding.h"
#include "kernels/softmax/exp_x86.h"

namespace quaver::kernels {
namespace {

constexpr std::size_t kStep = 4, kPanelStep = 64;  // bytes
constexpr std::size_t kVectorsOfPanel = kAttentionPanel / kLanes;

#if defined(__AVX512F__)
inline void store_low_bytes(std::uint8_t* p, Ints x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8((__m512i)x));
}

// kBlock numbers below 256 as bytes; gives sums of eight bytes each, in 64 bits.
inline __m512i store_block(std::uint8_t* p, const Ints (&x)[4]) {
  const __m512i y = _mm512_packus_epi16(_mm512_packs_epi32((__m512i)x[0], (__m512i)x[1]),
                                        _mm512_packs_epi32((__m512i)x[2], (__m512i)x[3]));
  _mm512_storeu_si512(p, _mm512_permutexvar_epi32(byte_order(), y));
  return _mm512_sad_epu8(y, _mm512_setzero_si512());
}
inline __m512i plus(__m512i a, __m512i b) { return _mm512_add_epi64(a, b); }
inline std::int32_t total_of_eights(__m512i x) { return static_cast<std::int32_t>(_mm512_reduce_add_epi64(x)); }
using Eights = __m512i;
#else
inline void store_low_bytes(std::uint8_t* p, Ints x) {
  const __m128i words = _mm_packus_epi32(_mm256_castsi256_si128((__m256i)x), _mm256_extracti128_si256((__m256i)x, 1));
  _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(words, words));
}

inline __m256i store_block(std::uint8_t* p, const Ints (&x)[4]) {
  const __m256i y = _mm256_packus_epi16(_mm256_packs_epi32((__m256i)x[0], (__m256i)x[1]),
                                        _mm256_packs_epi32((__m256i)x[2], (__m256i)x[3]));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permutevar8x32_epi32(y, byte_order()));
  return _mm256_sad_epu8(y, _mm256_setzero_si256());
}
inline __m256i plus(__m256i a, __m256i b) { return _mm256_add_epi64(a, b); }
inline std::int32_t total_of_eights(__m256i x) {
  const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  return _mm_cvtsi128_si32(_mm_add_epi64(two, _mm_unpackhi_epi64(two, two)));
}
using Eights = __m256i;
#endif

// weight of attention.h; its power of two goes straight to the exponent.
inline Floats weight_lanes(Floats d) {
  d = greater(d, splat(-8.0F));
  const Floats s = fused(d, splat(kLog2E), splat(kRound)), r = fused(d, splat(kLog2E), kRound - s);
  Floats p = splat(kAttentionWeight[0]);
#pragma GCC unroll 4
  for (int k = 1; k < 4; ++k) p = fused(p, r, splat(kAttentionWeight[k]));
  return (Floats)((Ints)p + ((Ints)s << 23));
}

// acc[r][v] = its start, plus `steps` of the rows at a[r] times the vectors that begin at `w`; `panel`: bytes of one.
template <class T, int R, int N>
[[gnu::always_inline]] inline void multiply(typename T::Acc (&acc)[R][N], const char* const (&rows)[R],
                                            std::size_t steps, const char* w, std::size_t panel) {
  const char* a[R];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) a[r] = rows[r];
  for (std::size_t s = 0; s < steps; ++s, w += kPanelStep) {
    typename T::Weights b[N];
#pragma GCC unroll 8
    for (int v = 0; v < N; ++v) {
      b[v] = T::weights(w + v / kVectorsOfPanel * panel + v % kVectorsOfPanel * kLanes * kStep);
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < N; ++v) acc[r][v] = T::mac(acc[r][v], a[r] + s * kStep, b[v]);
    }
  }
}

// What the rows of a block share.
template <class T>
struct Block {
  explicit Block(const AttentionArgs& args) : args(args) {
    padded = attention_pad(args.keys, 64);
    x = static_cast<float*>(args.scratch);
    masks = x + kAttentionRows * padded;
    w = reinterpret_cast<std::uint8_t*>(masks + kAttentionRows * padded);
    q = w + kAttentionRows * padded;
    q_stride = attention_pad(args.depth, 64);
    const std::size_t keys = attention_pad(args.keys, kAttentionPanel);
    k_steps = T::kF32 ? args.depth : attention_pad(args.depth, 4) / 4;
    v_steps = T::kF32 ? args.keys : keys / 4;
    sums = reinterpret_cast<const std::int32_t*>(static_cast<const char*>(args.k) + keys * k_steps * 4);
    mask_stride = args.mask ? args.mask_stride : 0;
    if (mask_stride == 0) pad_mask(args.mask, masks);
  }

  // A mask of one row, or of zeros; keys that pad a panel are hidden.
  void pad_mask(const float* mask, float* to) const {
    const std::size_t n = args.keys;
    if (mask) {
      __builtin_memcpy(to, mask, n * sizeof(float));
    } else {
      for (std::size_t j = 0; j < n; ++j) to[j] = 0;
    }
    for (std::size_t j = n; j < attention_pad(n, kAttentionPanel); ++j) to[j] = -__builtin_inff();
  }

  // The mask of query row i, the block's r-th.
  const float* mask_of(std::size_t i, int r) const {
    if (mask_stride == 0) return masks;
    const float* mask = args.mask + i * mask_stride;
    if (args.keys % kAttentionPanel == 0) return mask;
    pad_mask(mask, masks + r * padded);
    return masks + r * padded;
  }

  const AttentionArgs& args;
  std::size_t padded, q_stride, k_steps, v_steps, mask_stride;
  float* x;         // [kAttentionRows][padded]
  float* masks;     // likewise
  std::uint8_t* w;  // likewise
  std::uint8_t* q;  // [kAttentionRows][q_stride]
  const std::int32_t* sums;
  const float* mask[kAttentionRows];
  Floats most[kAttentionRows];    // of each row's scores
  float divisor[kAttentionRows];  // of each row's results; u8: their factor
  std::int32_t total[kAttentionRows];
  bool hidden[kAttentionRows];  // rows that are 0 since their masks show no key
};

inline bool sees_nothing(const float* mask, std::size_t keys) {
  for (std::size_t j = 0; j < keys; ++j) {
    if (mask[j] != -__builtin_inff()) return false;
  }
  return true;
}

template <class T, int R>
inline void rows_of_q(const Block<T>& b, std::size_t i, const char* (&rows)[R]) {
  const AttentionArgs& args = b.args;
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    if constexpr (T::kF32) {
      rows[r] = reinterpret_cast<const char*>(static_cast<const float*>(args.q) + (i + r) * args.q_stride);
    } else {
      const std::uint8_t* q = static_cast<const std::uint8_t*>(args.q) + (i + r) * args.q_stride;
      if (args.depth % 4 == 0) {
        rows[r] = reinterpret_cast<const char*>(q);
        continue;
      }
      std::uint8_t* staged = b.q + r * b.q_stride;
      __builtin_memcpy(staged, q, args.depth);
      for (std::size_t p = args.depth; p < b.k_steps * 4; ++p) staged[p] = 0;
      rows[r] = reinterpret_cast<const char*>(staged);
    }
  }
}

// Scores of N vectors of keys, from `vector` on, and their greatest so far.
template <class T, int R, int N>
inline void score_tile(Block<T>& b, const char* const (&rows)[R], std::size_t vector) {
  const std::size_t panel = b.k_steps * kPanelStep, j = vector * kLanes;
  typename T::Acc acc[R][N];
#pragma GCC unroll 8
  for (int v = 0; v < N; ++v) {
    acc[0][v] = T::start(b.args, b.sums + j + v * kLanes);
#pragma GCC unroll 8
    for (int r = 1; r < R; ++r) acc[r][v] = acc[0][v];
  }
  const char* w =
      static_cast<const char*>(b.args.k) + vector / kVectorsOfPanel * panel + vector % kVectorsOfPanel * kLanes * kStep;
  multiply<T, R, N>(acc, rows, b.k_steps, w, panel);
  const Floats scale = splat(b.args.scale);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    Floats most = b.most[r];
    const float* mask = b.mask[r] + j;
    float* to = b.x + r * b.padded + j;
#pragma GCC unroll 8
    for (int v = 0; v < N; ++v) {
      const Floats x = fused(T::real(acc[r][v]), scale, load_floats(mask + v * kLanes));
      store_floats(to + v * kLanes, x);
      most = greater(x, most);
    }
    b.most[r] = most;
  }
}

// From a row's scores, less the greatest, to what the second product multiplies; gives the lanes of its sum.
inline LaneSums weigh_floats(float* x, std::size_t n, float most) {
  const Floats m = splat(most);
  LaneSums sums;
  for (std::size_t j = 0; j < n; j += kVirtualLanes) {
#pragma GCC unroll 2
    for (std::size_t v = 0; v < LaneSums::kVectors; ++v) {
      const Floats e = exp_lanes(load_floats(x + j + v * kLanes) - m);
      store_floats(x + j + v * kLanes, e);
      sums.v[v] = sums.v[v] + e;
    }
  }
  return sums;
}

inline std::int32_t weigh_bytes(const float* x, std::size_t n, float most, std::uint8_t* w) {
  const Floats m = splat(most);
  const auto weight = [&](std::size_t j) { return nearest(weight_lanes(load_floats(x + j) - m)); };
  Eights eights{};
  Ints sum{};
  std::size_t j = 0;
  for (; j + kBlock <= n; j += kBlock) {
    Ints y[4];
#pragma GCC unroll 4
    for (std::size_t v = 0; v < 4; ++v) y[v] = weight(j + v * kLanes);
    eights = plus(eights, store_block(w + j, y));
  }
  for (; j < n; j += kLanes) {
    const Ints y = weight(j);
    store_low_bytes(w + j, y);
    sum += y;
  }
  return total_of_eights(eights) + total_of(sum);
}

// All rows of a block: what they wait for in the folding of lanes, they do so side by side.
template <class T, int R>
inline void weigh(Block<T>& b) {
  const std::size_t n = attention_pad(b.args.keys, kAttentionPanel);
  float most[R];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) most[r] = greatest(b.most[r]);
  if constexpr (T::kF32) {
    LaneSums sums[R];
    for (int r = 0; r < R; ++r) sums[r] = weigh_floats(b.x + r * b.padded, n, most[r]);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) b.divisor[r] = sums[r].sum();
  } else {
    for (int r = 0; r < R; ++r) b.total[r] = weigh_bytes(b.x + r * b.padded, n, most[r], b.w + r * b.padded);
    for (int r = 0; r < R; ++r) b.divisor[r] = b.total[r] == 0 ? 0.0F : b.args.mul / static_cast<float>(b.total[r]);
  }
}

template <class T>
inline Floats result(const Block<T>& b, int r, typename T::Acc acc) {
  if constexpr (T::kF32) {
    const bool hidden = b.hidden[r] || (b.args.nan_is_zero && b.divisor[r] != b.divisor[r]);
    return hidden ? Floats{} : acc / b.divisor[r];
  } else {
    return to_floats(acc - (b.args.v_zero - 128) * b.total[r]) * b.divisor[r];
  }
}

// N vectors of each row of a block as bytes, four at once; c: the first row's.
template <int R, int N>
inline void put_bytes(const AttentionArgs& args, std::uint8_t* c, const Floats (&y)[R][N]) {
  static_assert(N == 2 || N == 4);
  const std::int32_t zero = args.zero;
  const ByteBounds bounds(zero, static_cast<std::int32_t>(args.lo) + zero, static_cast<std::int32_t>(args.hi) + zero);
  const std::size_t stride = args.c_stride;
#pragma GCC unroll 8
  for (int r = 0; r < R; r += 4 / N) {
    Floats t[4];
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) t[v] = y[r + v / N < R ? r + v / N : r][v % N];
    std::uint8_t* row = c + r * stride;
    if constexpr (N == 4) {
      store_bytes(row, t, bounds);
    } else {
      alignas(64) std::uint8_t two[kBlock];
      store_bytes(two, t, bounds);
      __builtin_memcpy(row, two, kBlock / 2);
      if (r + 1 < R) __builtin_memcpy(row + stride, two + kBlock / 2, kBlock / 2);
    }
  }
}

// `count` results from c on, at the edge of the columns.
inline void put_some(const AttentionArgs& args, bool c_u8, std::size_t at, std::size_t count, Floats y) {
  if (c_u8) {
    std::uint8_t bytes[kLanes];
    store_low_bytes(bytes, nearest(lesser(greater(y, splat(args.lo)), splat(args.hi))) + args.zero);
    __builtin_memcpy(static_cast<std::uint8_t*>(args.c) + at, bytes, count);
  } else {
    float floats[kLanes];
    store_floats(floats, y);
    __builtin_memcpy(static_cast<float*>(args.c) + at, floats, count * sizeof(float));
  }
}

// Results of N vectors of columns, from `vector` on.
template <class T, int R, int N>
inline void result_tile(const Block<T>& b, std::size_t i, std::size_t vector) {
  const std::size_t panel = b.v_steps * kPanelStep;
  typename T::Acc acc[R][N] = {};
  const char* rows[R];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    rows[r] =
        T::kF32 ? reinterpret_cast<const char*>(b.x + r * b.padded) : reinterpret_cast<const char*>(b.w + r * b.padded);
  }
  const char* w =
      static_cast<const char*>(b.args.v) + vector / kVectorsOfPanel * panel + vector % kVectorsOfPanel * kLanes * kStep;
  multiply<T, R, N>(acc, rows, b.v_steps, w, panel);
  const AttentionArgs& args = b.args;
  const bool c_u8 = !T::kF32 && args.c_u8;
  const std::size_t column = vector * kLanes, at = i * args.c_stride + column;
  Floats y[R][N];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < N; ++v) y[r][v] = result<T>(b, r, acc[r][v]);
  }
  if (column + N * kLanes > args.v_depth || (c_u8 && N == 1)) {
    for (int r = 0; r < R; ++r) {
      for (std::size_t v = 0; v < N && column + v * kLanes < args.v_depth; ++v) {
        const std::size_t left = args.v_depth - column - v * kLanes;
        put_some(args, c_u8, at + r * args.c_stride + v * kLanes, left < kLanes ? left : kLanes, y[r][v]);
      }
    }
  } else if (c_u8) {
    if constexpr (N > 1) put_bytes<R, N>(args, static_cast<std::uint8_t*>(args.c) + at, y);
  } else {
    float* c = static_cast<float*>(args.c) + at;
    const std::size_t stride = args.c_stride;
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < N; ++v) store_floats(c + r * stride + v * kLanes, y[r][v]);
    }
  }
}

// Rows [i, i + rows), rows ≤ R.
template <class T, int R>
void block(Block<T>& b, std::size_t i, std::size_t rows) {
  if constexpr (R > 1) {
    if (rows < R) return block<T, R - 1>(b, i, rows);
  }
  constexpr int kN = T::kVectors, kOne = kVectorsOfPanel;  // a panel, at least
  const char* q[R];
  rows_of_q<T, R>(b, i, q);
  for (int r = 0; r < R; ++r) {
    b.mask[r] = b.mask_of(i + r, r);
    if constexpr (T::kF32) b.hidden[r] = b.args.hidden_is_zero && sees_nothing(b.mask[r], b.args.keys);
    b.most[r] = splat(-__builtin_inff());
  }
  const std::size_t vectors = attention_pad(b.args.keys, kAttentionPanel) / kLanes;
  std::size_t v = 0;
  for (; v + kN <= vectors; v += kN) score_tile<T, R, kN>(b, q, v);
  for (; v < vectors; v += kOne) score_tile<T, R, kOne>(b, q, v);
  weigh<T, R>(b);
  const std::size_t columns = attention_pad(b.args.v_depth, kAttentionPanel) / kLanes;
  for (v = 0; v + 2 * kOne <= columns; v += 2 * kOne) result_tile<T, R, 2 * kOne>(b, i, v);
  if (v < columns) result_tile<T, R, kOne>(b, i, v);
}

template <class T>
void attention(const AttentionArgs& args) {
  Block<T> b(args);
  for (std::size_t i = 0; i < args.rows; i += T::kRows) {
    block<T, T::kRows>(b, i, args.rows - i < T::kRows ? args.rows - i : T::kRows);
  }
}

}  // namespace
}  // namespace quaver::kernels
