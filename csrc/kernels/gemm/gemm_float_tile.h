// The fp32 and bf16 products, tiles of R rows × N vectors (and half a one), for any instruction set that a trait T
// describes. Internal linkage, for kernel files. One accumulator per result, and along k the definition's own order.
//
//   T::V, T::Args, T::Element   vectors (ymm.h …); the kernel's arguments; of rows and weights
//   T::kDepth                   values along k that a step multiplies
//   T::kStretch                 of values that one sum takes
//   T::kChains                  of such sums that are added to one another before they are to those before them: 1 or
//   2,
//                               whose weights lie side by side
//   T::kStep                    elements of a panel's step
//   T::kRows                    rows of the largest tile
//   T::vectors(rows)            its vectors of V::kLanes columns
//   T::Half                     a trait of vectors half as wide for a last few columns, or T itself
//   T::step<kValues, kChain>(acc, rows, w)   acc[r][v] += the products of kValues ≤ kDepth values at rows[r], and zeros
//                               after them, and those of V::kLanes columns at w[v]
#pragma once

#include "kernels/gemm/gemm_f32.h"
#include "kernels/gemm/rows.h"

namespace quaver::kernels {
namespace {

template <class Args, class V, int N>
inline void write(const Args& g, const typename V::F (&acc)[N], const float* r, float* c) {
#pragma GCC unroll 16
  for (int v = 0; v < N; ++v) {
    typename V::F y = V::clamp(acc[v], g.pre_lo, g.pre_hi);
    if (r) y = V::add(y, V::load(r + v * V::kLanes));
    V::store(c + v * V::kLanes, V::clamp(y, g.lo, g.hi));
  }
}

// Row i, columns [j, j + N vectors); those from n on go to a buffer and no further.
template <class Args, class V, int N>
inline void finish(const Args& g, const typename V::F (&acc)[N], std::size_t i, std::size_t j) {
  constexpr std::size_t kWidth = N * V::kLanes;
  float* c = reinterpret_cast<float*>(reinterpret_cast<char*>(g.c) + i * g.c_stride) + j;
  const float* r = nullptr;
  if (g.r) r = reinterpret_cast<const float*>(reinterpret_cast<const char*>(g.r) + i * g.r_stride) + j;
  if (g.n - j >= kWidth) return write<Args, V, N>(g, acc, r, c);
  float residual[kWidth] = {}, out[kWidth];
  if (r) __builtin_memcpy(residual, r, (g.n - j) * sizeof(float));
  write<Args, V, N>(g, acc, r ? residual : nullptr, out);
  __builtin_memcpy(c, out, (g.n - j) * sizeof(float));
}

// kHalf: half a vector of columns more.
template <class T, int R, int N, bool kHalf>
class Tile {
  using V = typename T::V;
  using H = typename T::Half;
  using Args = typename T::Args;
  using Element = typename T::Element;
  struct Sums {
    typename V::F whole[R][N];
    typename H::V::F half[R][kHalf ? 1 : 0];
  };
  static constexpr std::size_t kChainElements = T::kStretch / T::kDepth * T::kStep;
  static constexpr std::size_t kWhole = N * V::kLanes, kWidth = kWhole + (kHalf ? H::V::kLanes : 0);
  static constexpr std::size_t kColumns = 16;  // of a panel

 public:
  // `apart`: elements between panels.
  Tile(const Args& args, std::size_t apart) : g_(args), apart_(apart) {}

  void run(std::size_t i, std::size_t j) const {
    const Element* w = g_.w + j / kColumns * apart_ + j % kColumns * T::kDepth;
    // `before`: the bias and the stretches that have ended; `other`: the first of two chains, while the second runs.
    Sums acc, before, other;
    clear(acc);
    const std::size_t whole = g_.k / T::kDepth * T::kDepth;
    std::size_t left = T::kStretch;
    bool first = true, second = false;
    const auto turn = [&]() __attribute__((always_inline)) {
      if (left > 0) return;
      left = T::kStretch;
      if (T::kChains > 1 && !second) {
        put_away(other, acc);
        w -= kChainElements;
      } else {
        if constexpr (T::kChains > 1) add(acc, other);
        if (first) begin(before, j);
        add(acc, before);
        put_away(before, acc);
        first = false;
      }
      clear(acc);
      second = T::kChains > 1 && !second;
    };
    for (std::size_t t = 0; t < g_.taps; ++t) {
      const Element* rows[R];
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) rows[r] = row_of<Element>(g_, i + r, t);
      for (std::size_t p = 0; p < whole;) {
        turn();
        std::size_t end = least(whole, p + left);
        left -= end - p;
        __asm__("" : "+r"(end));  // keeps the compiler from writing all of this once more for a k of 1
        if (T::kChains > 1 && second) {
          w = steps<T::kChains - 1>(acc, rows, p, end, w, false);
        } else {
          w = steps<0>(acc, rows, p, end, w, R >= 4 && i == 0);
        }
        p = end;
      }
      if constexpr (T::kDepth > 1) {
        if (whole == g_.k) continue;
        turn();
        left -= T::kDepth;
        second ? step<1, T::kChains - 1>(acc, rows, whole, w) : step<1, 0>(acc, rows, whole, w);
        w += T::kStep;
      }
    }
    if constexpr (T::kChains > 1) {
      if (!second || left > 0) add_zeros(acc);
      if (second) add(acc, other);
    }
    if (first) begin(before, j);
    add(acc, before);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      finish<Args, V, N>(g_, acc.whole[r], i + r, j);
      if constexpr (kHalf) finish<Args, typename H::V, 1>(g_, acc.half[r], i + r, j + kWhole);
    }
  }

 private:
  [[gnu::always_inline]] void begin(Sums& acc, std::size_t j) const {
    const float* bias = g_.bias + j;
    float padded[kWidth] = {};
    if (g_.n - j < kWidth) {
      __builtin_memcpy(padded, bias, (g_.n - j) * sizeof(float));
      bias = padded;
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
      for (int v = 0; v < N; ++v) acc.whole[r][v] = V::load(bias + v * V::kLanes);
      if constexpr (kHalf) acc.half[r][0] = H::V::load(bias + kWhole);
    }
  }

  // To memory: the registers are the running sums'.
  [[gnu::always_inline]] static void put_away(Sums& to, const Sums& acc) {
    to = acc;
    __asm__("" : "+m"(to));
  }

  // What products of zeros make of a sum: 0 of −0.
  [[gnu::always_inline]] static void add_zeros(Sums& acc) {
    Sums zeros;
    clear(zeros);
    add(acc, zeros);
  }

  // acc = before + acc
  [[gnu::always_inline]] static void add(Sums& acc, const Sums& before) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
      for (int v = 0; v < N; ++v) acc.whole[r][v] = V::add(before.whole[r][v], acc.whole[r][v]);
      if constexpr (kHalf) acc.half[r][0] = H::V::add(before.half[r][0], acc.half[r][0]);
    }
  }

  [[gnu::always_inline]] static void clear(Sums& acc) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 16
      for (int v = 0; v < N; ++v) acc.whole[r][v] = V::splat(0.0F);
      if constexpr (kHalf) acc.half[r][0] = H::V::splat(0.0F);
    }
  }

  // For the next tile's weights, which lie far off when the first rows meet them.
  [[gnu::always_inline]] void ask(const Element* w) const {
    constexpr int kPerPanel = kColumns / V::kLanes;
#pragma GCC unroll 16
    for (int v = 0; v < N; v += kPerPanel) __builtin_prefetch(w + (v + N) / kPerPanel * apart_, 0, 2);
  }

  // From p to `end`; gives where the next step's weights lie. `far`: the next tile's are asked for meanwhile.
  template <int kChain>
  [[gnu::always_inline]] const Element* steps(Sums& acc, const Element* const (&rows)[R], std::size_t p,
                                              std::size_t end, const Element* w, bool far) const {
    if (far) {
      for (; p < end; p += T::kDepth, w += T::kStep) {
        ask(w);
        step<T::kDepth, kChain>(acc, rows, p, w);
      }
    }
    for (; p < end; p += T::kDepth, w += T::kStep) step<T::kDepth, kChain>(acc, rows, p, w);
    return w;
  }

  template <std::size_t kValues, int kChain>
  [[gnu::always_inline]] void step(Sums& acc, const Element* const (&rows)[R], std::size_t p, const Element* w) const {
    constexpr int kPerPanel = kColumns / V::kLanes;
    const Element *at[R], *columns[N];
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) at[r] = rows[r] + p;
#pragma GCC unroll 16
    for (int v = 0; v < N; ++v) columns[v] = w + v / kPerPanel * apart_ + v % kPerPanel * V::kLanes * T::kDepth;
    T::template step<kValues, kChain>(acc.whole, at, columns);
    if constexpr (kHalf) {
      const Element* const beside[] = {w + N / kPerPanel * apart_ + N % kPerPanel * V::kLanes * T::kDepth};
      H::template step<kValues, kChain>(acc.half, at, beside);
    }
  }

  const Args& g_;
  const std::size_t apart_;
};

template <class T, int R, int N, bool kHalf = false>
[[gnu::noinline]] void tile(const typename T::Args& g, std::size_t i, std::size_t j, std::size_t apart) {
  Tile<T, R, N, kHalf>(g, apart).run(i, j);
}

// R rows from i on, columns [j, j_end), in tiles of N vectors and then of fewer. A tile may have half a vector too
// many.
template <class T, int R, int N>
void columns(const typename T::Args& g, std::size_t i, std::size_t j, std::size_t j_end, std::size_t apart) {
  constexpr std::size_t kWidth = N * T::V::kLanes, kLess = T::V::kLanes / 2;
  constexpr bool kHalves = T::Half::V::kLanes < T::V::kLanes;
  for (; j_end - j + kLess - 1 >= kWidth; j += kWidth) {
    const bool ends = j_end - j <= kWidth;
    if constexpr (kHalves && N <= 2) {
      if (!ends && j_end - j <= kWidth + kLess) return tile<T, R, N, true>(g, i, j, apart);
    }
    tile<T, R, N>(g, i, j, apart);
    if (ends) return;
  }
  if (j == j_end) return;
  if constexpr (N > 1) {
    columns<T, R, N / 2>(g, i, j, j_end, apart);
  } else {
    tile<typename T::Half, R, 1>(g, i, j, apart);
  }
}

// Rows [i, i + rows), rows ≤ R.
template <class T, int R>
void block(const typename T::Args& g, std::size_t i, std::size_t rows, std::size_t j, std::size_t j_end,
           std::size_t apart) {
  if constexpr (R > 1) {
    if (rows < R) return block<T, R - 1>(g, i, rows, j, j_end, apart);
  }
  columns<T, R, T::vectors(R)>(g, i, j, j_end, apart);
}

template <class T>
void gemm_float(const typename T::Args& g) {
  constexpr std::size_t kRows = T::kRows;
  constexpr std::size_t kPadded = T::kChains > 1 ? T::kChains * T::kStretch : T::kDepth;
  const std::size_t depth = ceil_div(g.taps * ceil_div(g.k, T::kDepth) * T::kDepth, kPadded) * kPadded;
  const std::size_t strip = strip_columns(depth * sizeof(typename T::Element), T::vectors(T::kRows) * T::V::kLanes);
  for (std::size_t j = 0; j < g.n; j += strip) {
    for (std::size_t i = 0; i < g.m; i += kRows) {
      block<T, T::kRows>(g, i, least(g.m - i, kRows), j, least(g.n, j + strip), depth * 16);
    }
  }
}

template <class Vec>
struct F32 {
  using V = Vec;
  using Args = GemmF32Args;
  using Element = float;
  static constexpr std::size_t kDepth = 1, kStretch = kernels::kStretch, kStep = 16;
  static constexpr int kChains = 1;

  template <std::size_t, int, int R, int N>
  [[gnu::always_inline]] static void step(typename V::F (&acc)[R][N], const float* const (&rows)[R],
                                          const float* const (&w)[N]) {
    typename V::F b[N];
#pragma GCC unroll 16
    for (int v = 0; v < N; ++v) b[v] = V::load(w[v]);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const typename V::F a = V::splat(*rows[r]);
#pragma GCC unroll 16
      for (int v = 0; v < N; ++v) acc[r][v] = V::fma(a, b[v], acc[r][v]);
    }
  }
};

}  // namespace
}  // namespace quaver::kernels
