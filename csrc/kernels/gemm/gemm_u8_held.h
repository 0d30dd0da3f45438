// Products with few k: the weights of some columns stay in registers while all rows pass. On such a product bytes of
// sums cost as much as sums, and here they are made without a way through memory. Internal linkage, for kernel files.
//
//   T::V, T::add_dot   as in gemm_u8_direct.h
//   T::kHeldQuads      quads of two vectors of columns that leave registers for four sums; 0: none of this
#pragma once

#include "kernels/gemm/gemm_u8_finish.h"
#include "kernels/gemm/part.h"
#include "kernels/gemm/rows.h"

namespace quaver::kernels {
namespace {

// Whether every sum, however large the activations and weights, is brought by its scale to a float whose integer
// exists. No real layer fails this.
inline bool is_bounded(const GemmU8Args& g) {
  const float products = static_cast<float>(g.taps * g.k) * (255.0F * 128.0F);
  bool below = true;
  for (std::size_t j = 0; j < g.n; ++j) {
    const float largest = products + __builtin_fabsf(static_cast<float>(g.bias[j]));
    below &= largest * __builtin_fabsf(g.scale[j]) < 0x1p30F;  // false for NaN
  }
  return below;
}

// Columns [j, j + 16 N) over all kQuads quads of k, of 4 / N rows at a time, whose four vectors become bytes
// together; of twice as many where registers are left, so that fewer sums wait for one another. kPositive: the zero
// point is 0, so that neither it nor `lo` changes anything.
template <class T, int N, int kQuads, bool kPositive>
class Held {
  using V = typename T::V;
  using I = typename V::I;
  static constexpr int kRows = 4 / N;

 public:
  Held(const GemmU8Args& args, std::size_t j) : g_(args), j_(j), zero_(V::splat_words(args.zero)) {
    low_ = packed(g_.lo), high_ = packed(g_.hi);
    const std::int8_t* panels = g_.w + j / 16 * kQuads * 64;
#pragma GCC unroll 64
    for (int at = 0; at < kQuads * N; ++at) {
      w_[at] = V::load(reinterpret_cast<const std::int32_t*>(panels + (at % N * kQuads + at / N) * 64));
    }
  }

  // The first `rows` rows, a multiple of 4.
  [[gnu::always_inline]] void run(std::size_t rows) const {
    constexpr int kGroups = kQuads * N + 8 <= 30 ? 2 : 1;
    const std::size_t most = rows - rows % (kGroups * kRows);
    run<kGroups>(0, most);
    if constexpr (kGroups > 1) run<1>(most, rows);
  }

 private:
  template <int kGroups>
  [[gnu::always_inline]] void run(std::size_t i, std::size_t end) const {
    constexpr int kAtOnce = kGroups * kRows;
    const std::uint8_t* a = g_.a + i * g_.a_stride;
    std::uint8_t* c = static_cast<std::uint8_t*>(g_.c) + i * g_.c_stride + j_;
    for (; i < end; i += kAtOnce, a += kAtOnce * g_.a_stride, c += kAtOnce * g_.c_stride) tile<kGroups>(a, c);
  }

  template <int kGroups>
  [[gnu::always_inline]] void tile(const std::uint8_t* a, std::uint8_t* c) const {
    I acc[4 * kGroups];
#pragma GCC unroll 8
    for (int v = 0; v < 4 * kGroups; ++v) acc[v] = V::load(g_.bias + j_ + v % N * V::kLanes);
#pragma GCC unroll 128
    for (int at = 0; at < kQuads * kRows * kGroups; ++at) {
      const int quad = at / (kRows * kGroups), r = at % (kRows * kGroups);
      const I row = V::splat(read<std::int32_t>(a + r * g_.a_stride + 4 * quad));
#pragma GCC unroll 4
      for (int v = 0; v < N; ++v) T::add_dot(acc[r * N + v], row, w_[quad * N + v]);
    }
#pragma GCC unroll 2
    for (int group = 0; group < kGroups; ++group) finish(acc + 4 * group, c + group * kRows * g_.c_stride);
  }

  // Four vectors.
  [[gnu::always_inline]] void finish(I* acc, std::uint8_t* c) const {
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) {
      acc[v] = V::round(V::mul(V::to_float(acc[v]), V::load(g_.scale + j_ + v % N * V::kLanes)));
    }
    if constexpr (kPositive) {
      store<0>(c, V::min_u8(high_, V::pack(acc[0], acc[1], acc[2], acc[3])));
    } else {
      store<0>(c, V::min_u8(high_, V::max_u8(low_, V::pack(acc[0], acc[1], acc[2], acc[3], zero_))));
    }
  }

  template <int kRow>
  [[gnu::always_inline]] void store(std::uint8_t* c, I bytes) const {
    V::template store_packed<kRow * N, N>(c + kRow * g_.c_stride, bytes);
    if constexpr (kRow + 1 < kRows) store<kRow + 1>(c, bytes);
  }

  I packed(float y) const {
    const I l = V::round(V::splat(y));
    return V::pack(l, l, l, l, zero_);
  }

  const GemmU8Args g_;
  const std::size_t j_;
  const I zero_;
  I low_, high_;
  I w_[kQuads * N];
};

template <class T, int N, int kQuads>
[[gnu::noinline]] void hold(const GemmU8Args& g, std::size_t rows, std::size_t j) {
  if (g.zero == 0 && g.lo <= 0) {
    Held<T, N, kQuads, true>(g, j).run(rows);
  } else {
    Held<T, N, kQuads, false>(g, j).run(rows);
  }
}

// Whole panels of columns of g's first `rows` rows, a multiple of 4; returns how many columns, which may be 0.
template <class T, int kQuads>
std::size_t hold_panels(const GemmU8Args& g, std::size_t rows) {
  if constexpr (kQuads > 1) {
    if (g.k < 4 * kQuads) return hold_panels<T, kQuads - 1>(g, rows);
  }
  constexpr std::size_t kPanel = 16;
  std::size_t j = 0;
  for (; j + 2 * kPanel <= g.n; j += 2 * kPanel) hold<T, 2, kQuads>(g, rows, j);
  if (j + kPanel <= g.n) hold<T, 1, kQuads>(g, rows, j), j += kPanel;
  return j;
}

// The same for any product; 0 for those that are none of these.
template <class T>
std::size_t hold_columns(const GemmU8Args& g, std::size_t rows) {
  constexpr std::size_t kFewRows = 16;
  const bool held = rows >= kFewRows && !g.offsets && g.k % 4 == 0 && g.k <= 4 * T::kHeldQuads && is_bounded(g);
  return held ? hold_panels<T, T::kHeldQuads>(g, rows) : 0;
}

}  // namespace
}  // namespace quaver::kernels
