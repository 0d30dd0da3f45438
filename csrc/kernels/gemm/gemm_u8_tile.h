// The u8 product for any instruction set that a trait T describes. Internal linkage, for kernel files.
//
// A block of rows is staged (gemm_u8_stage.h) and then meets every panel of a strip of columns. A k too long for the
// stage is walked in parts, and the sums wait in `Block::sums` between two of them.
//
//   T::V                             vectors (ymm.h …)
//   T::kRows, T::kVectors            the tile: rows × vectors of V::kLanes columns
//   T::kQuadBytes                    bytes of a staged quad: 4 values along k
//   T::stage(to, bytes)              16 bytes of a row, staged as 4 quads
//   T::dot(acc, a, stride, w)        acc[r][v] += the products of row r's staged quad, which lies at a + r · stride,
//   and
//                                    the quads of V::kLanes columns at w[v], exact
//   T::start(acc, w, quads, step)    the start values, brought from `bias` to what T's staging asks for
#pragma once

#include "kernels/gemm/gemm_u8_finish.h"
#include "kernels/gemm/gemm_u8_stage.h"

namespace quaver::kernels {
namespace {

constexpr std::size_t kPanel = 16;      // columns
constexpr std::size_t kPanelQuad = 64;  // bytes of a panel's quads at one place of k

// What the tiles of a block of rows share.
template <class T>
struct Block {
  static constexpr std::size_t kColumns = 128;  // of a strip where sums have to wait

  std::size_t quads, step;   // along all of k; bytes between panels
  std::size_t first, count;  // the staged quads
  Stage<T> stage;
  std::int32_t sums[T::kRows * kColumns];  // tile after tile

  bool begins() const { return first == 0; }
  bool ends() const { return first + count == quads; }
};

// `step`: bytes between panels.
template <class T, int R, int N>
[[gnu::always_inline]] inline void multiply(typename T::V::I (&acc)[R][N], const std::uint8_t* a, std::size_t quads,
                                            const std::int8_t* w, std::size_t step) {
  for (std::size_t q = 0; q < quads; ++q, a += T::kQuadBytes, w += kPanelQuad) {
    const std::int8_t* columns[N];
#pragma GCC unroll 16
    for (int v = 0; v < N; ++v) {
      constexpr int kPerPanel = kPanel / T::V::kLanes;
      columns[v] = w + v / kPerPanel * step + v % kPerPanel * T::V::kLanes * 4;
    }
    T::dot(acc, a, Stage<T>::kStride, columns);
  }
}

template <class T, int R, int N>
inline void begin(typename T::V::I (&acc)[R][N], const std::int32_t* bias, const std::int8_t* w, std::size_t quads,
                  std::size_t step) {
#pragma GCC unroll 16
  for (int v = 0; v < N; ++v) acc[0][v] = T::V::load(bias + v * T::V::kLanes);
  T::start(acc[0], w, quads, step);
#pragma GCC unroll 16
  for (int r = 1; r < R; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < N; ++v) acc[r][v] = acc[0][v];
  }
}

// `sums`: where this tile's wait.
template <class T, int R, int N, Finish kFinish>
[[gnu::noinline]] void tile(const GemmU8Args& g, std::size_t i, std::size_t j, const Block<T>& b, std::int32_t* sums) {
  using V = typename T::V;
  const std::int8_t* w = g.w + j / kPanel * b.step + j % kPanel * 4;
  typename V::I acc[R][N];
  if (b.begins()) {
    begin<T, R, N>(acc, g.bias + j, w, b.quads, b.step);
  } else {
#pragma GCC unroll 16
    for (int r = 0; r < R * N; ++r) acc[r / N][r % N] = V::load(sums + r * V::kLanes);
  }
  multiply<T, R, N>(acc, b.stage.bytes, b.count, w + b.first * kPanelQuad, b.step);
  if (b.ends()) {
    Sums<V, R, N> tile;
    keep(tile, acc, i, j);
    return finish<V, R, N, kFinish>(g, tile);
  }
#pragma GCC unroll 16
  for (int r = 0; r < R * N; ++r) V::store(sums + r * V::kLanes, acc[r / N][r % N]);
}

// The staged rows [i, i + R), columns [first, last).
template <class T, int R, Finish kFinish>
void tiles(const GemmU8Args& g, std::size_t i, std::size_t first, std::size_t last, Block<T>& b) {
  constexpr int kHalf = T::kVectors / 2, kWidth = T::kVectors * T::V::kLanes;
  std::int32_t* sums = b.sums;
  std::size_t j = first;
  for (; j < last && last - j > kWidth / 2; j += kWidth, sums += R * kWidth) {
    tile<T, R, T::kVectors, kFinish>(g, i, j, b, sums);
  }
  if (j < last) tile<T, R, kHalf, kFinish>(g, i, j, b, sums);
}

// Rows [i, i + rows), rows ≤ R, columns [first, last).
template <class T, int R, Finish kFinish>
void block(const GemmU8Args& g, std::size_t i, std::size_t rows, std::size_t first, std::size_t last, Block<T>& b) {
  if constexpr (R > 1) {
    if (rows < R) return block<T, R - 1, kFinish>(g, i, rows, first, last, b);
  }
  for (b.first = 0; b.first < b.quads; b.first += b.count) {
    b.count = least(b.quads - b.first, b.stage.kQuads);
    stage(g, i, R, b.first, b.count, b.stage);
    tiles<T, R, kFinish>(g, i, first, last, b);
  }
}

template <class T, Finish kFinish>
void blocks(const GemmU8Args& g) {
  constexpr std::size_t kRows = T::kRows, kWidth = T::kVectors * T::V::kLanes;
  Block<T> b;
  b.quads = g.taps * ceil_div(g.k, 4);
  b.step = b.quads * kPanelQuad;
  std::size_t strip = strip_columns(b.quads * 4, kWidth);
  if (b.quads > b.stage.kQuads) strip = least(strip, b.kColumns);
  for (std::size_t j = 0; j < g.n; j += strip) {
    for (std::size_t i = 0; i < g.m; i += kRows) {
      block<T, T::kRows, kFinish>(g, i, least(g.m - i, kRows), j, least(g.n, j + strip), b);
    }
  }
}

template <class T>
void gemm_u8(const GemmU8Args& g) {
  switch (finish_of(g)) {
    case Finish::plain: return blocks<T, Finish::plain>(g);
    case Finish::added: return blocks<T, Finish::added>(g);
    case Finish::reals: return blocks<T, Finish::reals>(g);
    case Finish::any: return blocks<T, Finish::any>(g);
  }
}

}  // namespace
}  // namespace quaver::kernels
