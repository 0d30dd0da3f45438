// The u8 product for instruction sets whose dot instruction takes activations as they lie, which a trait T describes.
// Internal linkage, for kernel files.
//
// Nothing is staged: a tap's rows are R pointers, found by the integer units while the vector units multiply.
//
//   T::V                        vectors (ymm.h …)
//   T::kRows                    rows of the largest tile
//   T::vectors(rows)            its vectors of V::kLanes columns: as many sums as hide a dot's latency, and no spill
//   T::Half                     a trait of vectors half as wide for a last few columns, or T itself
//   T::add_dot(acc, a, w)       acc += the products of a's and w's quads, exact
//   T::kHeldQuads               see gemm_u8_held.h
#pragma once

#include "kernels/gemm/gemm_u8_finish.h"
#include "kernels/gemm/gemm_u8_held.h"
#include "kernels/gemm/rows.h"

namespace quaver::kernels {
namespace {

// A grid of tiles of R rows × N vectors.
//
// The first row of tiles finds weights where they lay since the last run, far off, and asks for the next tile's while
// it multiplies its own. Where rows are few, loads are the limit already.
//
// Making bytes of a tile's sums keeps the vector units' other ports busy, and a processor does not look far enough
// ahead to begin with the next tile's products meanwhile. So the sums wait, and their groups are spread over the first
// products of the next tile.
template <class T, int R, int N, Finish kFinish>
class Grid {
  using V = typename T::V;
  using Vectors = typename V::I[R][N];
  static constexpr std::size_t kWidth = N * V::kLanes;

 public:
  // `step`: bytes between panels.
  Grid(const GemmU8Args& args, std::size_t step) : g_(args), step_(step), finisher_(g_) {}

  // Rows [i, i_end), a multiple of R; columns [j, j_end) whose last tile may be cut by n.
  void run(std::size_t i, std::size_t i_end, std::size_t j, std::size_t j_end) {
    for (bool first = R >= 6; i < i_end; i += R, first = false) {
      for (std::size_t column = j; column < j_end; column += kWidth) tile(i, column, first);
    }
    if (waiting_) finisher_.template all<true>(sums_);
  }

 private:
  [[gnu::always_inline]] void tile(std::size_t i, std::size_t j, bool first) {
    Vectors acc;
#pragma GCC unroll 16
    for (int v = 0; v < R * N; ++v) acc[v / N][v % N] = V::load(g_.bias + j + v % N * V::kLanes);
    const std::int8_t* w = g_.w + j / 16 * step_ + j % 16 * 4;
    const std::size_t whole = g_.k / 4 * 4;
    for (std::size_t t = 0; t < g_.taps; ++t) {
      const std::uint8_t* rows[R];
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) rows[r] = row_of<std::uint8_t>(g_, i + r, t);
      std::size_t at = 0;
      if (waiting_) {
        waiting_ = false;
        if (whole >= 4 * kGroups) {
          multiply_beside<0>(acc, rows, w);
          at = 4 * kGroups;
        } else {
          finisher_.template all<true>(sums_);
        }
      }
      if (first) {
        for (; at < whole; at += 4) multiply<true>(acc, rows, at, w);
      }
      for (; at < whole; at += 4) multiply(acc, rows, at, w);
      if (at < g_.k) multiply_rest(acc, rows, at, w);
    }
    keep(sums_, acc, i, j);
    waiting_ = kFinish != Finish::any && g_.n - j >= kWidth;
    if (!waiting_) finish<V, R, N, kFinish>(g_, sums_);
  }

  // Four bytes of each row; `w` moves on.
  template <bool kAhead = false>
  [[gnu::always_inline]] void multiply(Vectors& acc, const std::uint8_t* const (&rows)[R], std::size_t at,
                                       const std::int8_t*& w) const {
    constexpr int kPerPanel = 16 / V::kLanes;
    typename V::I quads[N];
#pragma GCC unroll 16
    for (int v = 0; v < N; ++v) {
      const std::int8_t* column = w + v / kPerPanel * step_ + v % kPerPanel * V::kLanes * 4;
      quads[v] = V::load(reinterpret_cast<const std::int32_t*>(column));
      if (kAhead && v % kPerPanel == 0) __builtin_prefetch(column + N / kPerPanel * step_, 0, 2);
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const typename V::I row = V::splat(read<std::int32_t>(rows[r] + at));
#pragma GCC unroll 16
      for (int v = 0; v < N; ++v) T::add_dot(acc[r][v], row, quads[v]);
    }
    w += 64;
  }

  // The first bytes of each row, between the groups of the tile that waits.
  template <int kGroup>
  [[gnu::always_inline]] void multiply_beside(Vectors& acc, const std::uint8_t* const (&rows)[R],
                                              const std::int8_t*& w) const {
    multiply(acc, rows, 4 * kGroup, w);
    finisher_.template group<kGroup>(sums_);
    if constexpr (kGroup + 1 < kGroups) multiply_beside<kGroup + 1>(acc, rows, w);
  }

  // The last k % 4 bytes of each row.
  [[gnu::always_inline]] void multiply_rest(Vectors& acc, const std::uint8_t* const (&rows)[R], std::size_t at,
                                            const std::int8_t*& w) const {
    std::uint8_t rest[R][4] = {};
    const std::uint8_t* to[R];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      for (std::size_t p = at; p < g_.k; ++p) rest[r][p - at] = rows[r][p];
      to[r] = rest[r];
    }
    multiply(acc, to, 0, w);
  }

  static constexpr int kGroups = Sums<V, R, N>::kGroups;

  const GemmU8Args g_;  // a copy, whose fields no store of bytes can change
  const std::size_t step_;
  const Finisher<V, R, N, kFinish> finisher_;
  Sums<V, R, N> sums_;
  bool waiting_ = false;
};

template <class T, int R, int N, Finish kFinish>
[[gnu::noinline]] void grid(const GemmU8Args& g, std::size_t i, std::size_t i_end, std::size_t j, std::size_t j_end,
                            std::size_t step) {
  Grid<T, R, N, kFinish>(g, step).run(i, i_end, j, j_end);
}

// Rows [i, i_end), columns [j, j_end), in tiles of N vectors and then of fewer. A tile may have half a vector too many.
template <class T, int R, int N, Finish kFinish>
void columns(const GemmU8Args& g, std::size_t i, std::size_t i_end, std::size_t j, std::size_t j_end,
             std::size_t step) {
  constexpr std::size_t kWidth = N * T::V::kLanes;
  const std::size_t tiles = (j_end - j + T::V::kLanes / 2 - 1) / kWidth;
  if (tiles > 0) grid<T, R, N, kFinish>(g, i, i_end, j, j + tiles * kWidth, step);
  if ((j += tiles * kWidth) >= j_end) return;
  if constexpr (N > 1) {
    columns<T, R, N / 2, kFinish>(g, i, i_end, j, j_end, step);
  } else {
    grid<typename T::Half, R, 1, kFinish>(g, i, i_end, j, j_end, step);
  }
}

// The last rows, fewer than a tile's.
template <class T, int R, Finish kFinish>
void last_rows(const GemmU8Args& g, std::size_t i, std::size_t j, std::size_t j_end, std::size_t step) {
  if constexpr (R > 0) {
    if (g.m - i < R) return last_rows<T, R - 1, kFinish>(g, i, j, j_end, step);
    columns<T, R, T::vectors(R), kFinish>(g, i, g.m, j, j_end, step);
  }
}

template <class T, Finish kFinish>
void strips(const GemmU8Args& g) {
  constexpr int kRows = T::kRows, kVectors = T::vectors(kRows);
  const std::size_t depth = g.taps * ceil_div(g.k, 4) * 4, step = depth * 16;
  const std::size_t strip = strip_columns(depth, kVectors * T::V::kLanes), whole = g.m / kRows * kRows;
  std::size_t j = 0;
  if constexpr (kFinish == Finish::plain && T::kHeldQuads > 0) {
    const std::size_t held = g.m / 4 * 4;
    j = hold_columns<T>(g, held);
    if (j > 0) last_rows<T, kRows - 1, kFinish>(g, held, 0, j, step);
  }
  for (; j < g.n; j += strip) {
    const std::size_t j_end = least(g.n, j + strip);
    if (whole > 0) columns<T, kRows, kVectors, kFinish>(g, 0, whole, j, j_end, step);
    last_rows<T, kRows - 1, kFinish>(g, whole, j, j_end, step);
  }
}

template <class T>
void gemm_u8_direct(const GemmU8Args& g) {
  switch (finish_of(g)) {
    case Finish::plain: return strips<T, Finish::plain>(g);
    case Finish::added: return strips<T, Finish::added>(g);
    case Finish::reals: return strips<T, Finish::reals>(g);
    case Finish::any: return strips<T, Finish::any>(g);
  }
}

}  // namespace
}  // namespace quaver::kernels
