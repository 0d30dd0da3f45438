// The u8 product for any instruction set that a trait T describes. Internal linkage, for kernel files.
//
// A block of rows is staged once: its taps are laid end to end in the form that T broadcasts from, so that the inner
// loop knows neither taps, offsets nor the tail of k. The block then meets every panel of a strip of columns.
//
//   T::V                             vectors (ymm.h …)
//   T::kRows, T::kVectors            the tile: rows × vectors of V::kLanes columns
//   T::kQuadBytes                    bytes of a staged quad: 4 values along k
//   T::stage(to, bytes)              16 bytes of a row, staged as 4 quads
//   T::weights(w)                    the quads of V::kLanes columns
//   T::dot(acc, quad, b)             acc[v] += the products of a staged quad and the weights b[v], exact, for v < N
//   T::start(acc, w, quads, step)    the start values, brought from `bias` to what T's staging asks for
#pragma once

#include "kernels/gemm/gemm_u8.h"
#include "kernels/gemm/requantize.h"
#include "kernels/gemm/rows.h"

namespace quaver::kernels {
namespace {

constexpr std::size_t kPanel = 16;      // columns
constexpr std::size_t kPanelQuad = 64;  // bytes of a panel's quads at one place of k

template <class T>
struct Stage {
  static constexpr std::size_t kQuads = 1024;  // along k; longer rows are staged piecewise, anew for each tile
  // 64 more: a tail is staged as 16 values, and rows must not meet in the same cache sets.
  static constexpr std::size_t kStride = kQuads * T::kQuadBytes + 64;
  alignas(64) std::uint8_t bytes[T::kRows * kStride];
};

template <class T>
inline void stage_run(std::uint8_t* to, const std::uint8_t* from, std::size_t size) {
  for (; size >= 16; size -= 16, from += 16, to += 4 * T::kQuadBytes) T::stage(to, read<Bytes16>(from));
  if (size > 0) T::stage(to, read_below_16(from, size));
}

// Stages the quads [first, first + count) of rows [i, i + rows).
template <class T>
void stage(const GemmU8Args& g, std::size_t i, std::size_t rows, std::size_t first, std::size_t count, Stage<T>& s) {
  const std::size_t quads = ceil_div(g.k, 4);
  for (std::size_t r = 0; r < rows; ++r) {
    std::uint8_t* to = s.bytes + r * s.kStride;
    std::size_t t = first / quads, q = first % quads;
    for (std::size_t left = count; left > 0; q = 0, ++t) {
      const std::size_t run = least(quads - q, left);
      stage_run<T>(to, row_of<std::uint8_t>(g, i + r, t) + 4 * q, least(4 * run, g.k - 4 * q));
      to += run * T::kQuadBytes;
      left -= run;
    }
  }
}

// `step`: bytes between panels.
template <class T, int R, int N>
[[gnu::always_inline]] inline void multiply(typename T::V::I (&acc)[R][N], const std::uint8_t* a, std::size_t quads,
                                            const std::int8_t* w, std::size_t step) {
  for (std::size_t q = 0; q < quads; ++q, a += T::kQuadBytes, w += kPanelQuad) {
    decltype(T::weights(w)) b[N];
#pragma GCC unroll 16
    for (int v = 0; v < N; ++v) {
      constexpr int kPerPanel = kPanel / T::V::kLanes;
      b[v] = T::weights(w + v / kPerPanel * step + v % kPerPanel * T::V::kLanes * 4);
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) T::dot(acc[r], a + r * Stage<T>::kStride, b);
  }
}

template <class V, int N>
inline void write(const GemmU8Args& g, const typename V::I (&acc)[N], std::size_t j, const std::uint8_t* r, void* c) {
#pragma GCC unroll 16
  for (int v = 0; v < N; ++v) {
    const std::size_t at = v * V::kLanes;
    const std::uint8_t* rv = r ? r + at : nullptr;
    if (g.output == Output::u8) {
      requantize_to<V>(g, acc[v], g.scale + j + at, rv, static_cast<std::uint8_t*>(c) + at);
    } else if (g.output == Output::f32) {
      V::store(static_cast<float*>(c) + at, requantize<V>(g, acc[v], g.scale + j + at, rv));
    } else {
      V::store(static_cast<std::int32_t*>(c) + at, acc[v]);
    }
  }
}

// Row i, columns [j, j + N vectors); those from n on go to a buffer and no further.
template <class V, int N>
inline void finish(const GemmU8Args& g, typename V::I (&acc)[N], std::size_t i, std::size_t j) {
  constexpr std::size_t kWidth = N * V::kLanes;
  if (g.row_sum) {
#pragma GCC unroll 16
    for (int v = 0; v < N; ++v) {
      acc[v] = V::sub(acc[v], V::mul(V::splat(g.row_sum[i]), V::load(g.col_zero + j + v * V::kLanes)));
    }
  }
  const std::size_t size = g.output == Output::u8 ? 1 : 4;
  char* c = static_cast<char*>(g.c) + i * g.c_stride + j * size;
  const std::uint8_t* r = g.r ? g.r + i * g.r_stride + j : nullptr;
  if (g.n - j >= kWidth) return write<V, N>(g, acc, j, r, c);
  std::uint8_t residual[kWidth] = {};
  char out[kWidth * 4];
  if (r) __builtin_memcpy(residual, r, g.n - j);
  write<V, N>(g, acc, j, r ? residual : nullptr, out);
  __builtin_memcpy(c, out, (g.n - j) * size);
}

template <class T, int R, int N>
[[gnu::noinline]] void tile(const GemmU8Args& g, std::size_t i, std::size_t j, Stage<T>& s) {
  using V = typename T::V;
  const std::size_t quads = g.taps * ceil_div(g.k, 4), step = quads * kPanelQuad;
  const std::int8_t* w = g.w + j / kPanel * step;
  typename V::I acc[R][N];
#pragma GCC unroll 16
  for (int v = 0; v < N; ++v) acc[0][v] = V::load(g.bias + j + v * V::kLanes);
  T::start(acc[0], w, quads, step);
#pragma GCC unroll 16
  for (int r = 1; r < R; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < N; ++v) acc[r][v] = acc[0][v];
  }
  for (std::size_t q = 0; q < quads; q += s.kQuads) {
    const std::size_t count = least(quads - q, s.kQuads);
    if (quads > s.kQuads) stage(g, i, R, q, count, s);
    multiply<T, R, N>(acc, s.bytes, count, w + q * kPanelQuad, step);
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) finish<V, N>(g, acc[r], i + r, j);
}

// Rows [i, i + rows), rows ≤ R, columns [first, last).
template <class T, int R>
void block(const GemmU8Args& g, std::size_t i, std::size_t rows, std::size_t first, std::size_t last, Stage<T>& s) {
  if constexpr (R > 1) {
    if (rows < R) return block<T, R - 1>(g, i, rows, first, last, s);
  }
  constexpr int kPerPanel = kPanel / T::V::kLanes, kWidth = T::kVectors * T::V::kLanes;
  const std::size_t quads = g.taps * ceil_div(g.k, 4);
  if (quads <= s.kQuads) stage(g, i, R, 0, quads, s);
  std::size_t j = first;
  for (; j < last && last - j > kWidth - kPanel; j += kWidth) tile<T, R, T::kVectors>(g, i, j, s);
  for (; j < last; j += kPanel) tile<T, R, kPerPanel>(g, i, j, s);
}

template <class T>
void gemm_u8(const GemmU8Args& g) {
  constexpr std::size_t kRows = T::kRows, kWidth = T::kVectors * T::V::kLanes;
  const std::size_t strip = strip_columns(g.taps * ceil_div(g.k, 4) * 4, kWidth);
  Stage<T> s;
  for (std::size_t j = 0; j < g.n; j += strip) {
    for (std::size_t i = 0; i < g.m; i += kRows) {
      block<T, T::kRows>(g, i, least(g.m - i, kRows), j, least(g.n, j + strip), s);
    }
  }
}

}  // namespace
}  // namespace quaver::kernels
