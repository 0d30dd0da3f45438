// The fp32 product on vectors V (ymm.h …), tiles of R rows × N vectors. Internal linkage, for kernel files.
// One fused multiply-add per step, along k in order, in one accumulator per result: the definition's own order.
#pragma once

#include "kernels/gemm/gemm_f32.h"
#include "kernels/gemm/rows.h"

namespace quaver::kernels {
namespace {

constexpr std::size_t kColumns = kGemmF32Panel;

// `step`: floats between panels.
template <class V, int R, int N>
[[gnu::always_inline]] inline void multiply(typename V::F (&acc)[R][N], const float* const (&rows)[R], std::size_t k,
                                            const float* w, std::size_t step) {
  for (std::size_t p = 0; p < k; ++p, w += kColumns) {
    typename V::F b[N];
#pragma GCC unroll 16
    for (int v = 0; v < N; ++v) {
      constexpr int kPerPanel = kColumns / V::kLanes;
      b[v] = V::load(w + v / kPerPanel * step + v % kPerPanel * V::kLanes);
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const typename V::F a = V::splat(rows[r][p]);
#pragma GCC unroll 16
      for (int v = 0; v < N; ++v) acc[r][v] = V::fma(a, b[v], acc[r][v]);
    }
  }
}

template <class V, int N>
inline void write(const GemmF32Args& g, const typename V::F (&acc)[N], const float* r, float* c) {
#pragma GCC unroll 16
  for (int v = 0; v < N; ++v) {
    typename V::F y = V::clamp(acc[v], g.pre_lo, g.pre_hi);
    if (r) y = V::add(y, V::load(r + v * V::kLanes));
    V::store(c + v * V::kLanes, V::clamp(y, g.lo, g.hi));
  }
}

// Row i, columns [j, j + N vectors); those from n on go to a buffer and no further.
template <class V, int N>
inline void finish(const GemmF32Args& g, const typename V::F (&acc)[N], std::size_t i, std::size_t j) {
  constexpr std::size_t kWidth = N * V::kLanes;
  float* c = reinterpret_cast<float*>(reinterpret_cast<char*>(g.c) + i * g.c_stride) + j;
  const float* r = nullptr;
  if (g.r) r = reinterpret_cast<const float*>(reinterpret_cast<const char*>(g.r) + i * g.r_stride) + j;
  if (g.n - j >= kWidth) return write<V, N>(g, acc, r, c);
  float residual[kWidth] = {}, out[kWidth];
  if (r) __builtin_memcpy(residual, r, (g.n - j) * sizeof(float));
  write<V, N>(g, acc, r ? residual : nullptr, out);
  __builtin_memcpy(c, out, (g.n - j) * sizeof(float));
}

template <class V, int R, int N>
[[gnu::noinline]] void tile(const GemmF32Args& g, std::size_t i, std::size_t j) {
  const std::size_t step = g.taps * g.k * kColumns;
  const float* w = g.w + j / kColumns * step + j % kColumns;
  const float* bias = g.bias + j;
  float padded[N * V::kLanes] = {};
  if (g.n - j < N * V::kLanes) {
    __builtin_memcpy(padded, bias, (g.n - j) * sizeof(float));
    bias = padded;
  }
  typename V::F acc[R][N];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < N; ++v) acc[r][v] = V::load(bias + v * V::kLanes);
  }
  for (std::size_t t = 0; t < g.taps; ++t, w += g.k * kColumns) {
    const float* rows[R];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) rows[r] = row_of<float>(g, i + r, t);
    multiply<V, R, N>(acc, rows, g.k, w, step);
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) finish<V, N>(g, acc[r], i + r, j);
}

// Rows [i, i + rows), rows ≤ R, columns [first, last).
template <class V, int R, int N>
void block(const GemmF32Args& g, std::size_t i, std::size_t rows, std::size_t first, std::size_t last) {
  if constexpr (R > 1) {
    if (rows < R) return block<V, R - 1, N>(g, i, rows, first, last);
  }
  constexpr std::size_t kWidth = N * V::kLanes;
  std::size_t j = first;
  for (; j < last && last - j > kWidth / 2; j += kWidth) tile<V, R, N>(g, i, j);
  if (j < last) tile<V, R, N / 2>(g, i, j);
}

template <class V, int R, int N>
void gemm_f32(const GemmF32Args& g) {
  const std::size_t strip = strip_columns(g.taps * g.k * sizeof(float), N * V::kLanes);
  for (std::size_t j = 0; j < g.n; j += strip) {
    for (std::size_t i = 0; i < g.m; i += R) block<V, R, N>(g, i, least(g.m - i, R), j, least(g.n, j + strip));
  }
}

}  // namespace
}  // namespace quaver::kernels
