// From a u8 product's sums to what it stores. Internal linkage, for kernel files.
//
// On a product with few k this costs as much as the sums. So the tile is compiled once for what most products ask for,
// and a call decides once which of them it takes.
#pragma once

#include "kernels/gemm/gemm_u8.h"
#include "kernels/gemm/requantize.h"

namespace quaver::kernels {
namespace {

enum class Finish {
  plain,  // u8 out of acc, scale and [lo, hi]
  added,  // and a residual, after a first clamp: the range of the tensor that the sum has made unnecessary
  reals,  // acc · scale, plus shift where that is given
  any,    // whatever the arguments say
};

inline bool unbounded(const GemmU8Args& g) {
  constexpr float kInfinity = __builtin_inff();
  return g.pre_lo == -kInfinity && g.pre_hi == kInfinity && g.lo == -kInfinity && g.hi == kInfinity;
}

inline Finish finish_of(const GemmU8Args& g) {
  if (g.output == Output::f32 && !g.row_sum && !g.r && unbounded(g)) return Finish::reals;
  if (g.output != Output::u8 || g.row_sum) return Finish::any;
  // With these bounds no sum with a residual leaves the integers.
  const bool bounded = g.pre_lo > -1e9F && g.pre_hi < 1e9F && __builtin_fabsf(g.r_scale) < 1e6F;
  if (g.r) return bounded ? Finish::added : Finish::any;
  // A clamp this wide changes no result, and with these scales no sum leaves the integers.
  bool plain = g.pre_lo <= -3.4e38F && g.pre_hi >= 3.4e38F;
  for (std::size_t j = 0; j < g.n; ++j) plain &= __builtin_fabsf(g.scale[j]) < 1.0F;
  return plain ? Finish::plain : Finish::any;
}

// A tile of R rows × N vectors whose sums wait in memory, row after row, to become bytes.
template <class V, int R, int N>
struct Sums {
  static constexpr int kVectors = R * N;
  static constexpr int kGroups = (kVectors + 3) / 4;

  alignas(64) std::int32_t at[kVectors * V::kLanes];
  std::size_t i, j;  // its first row and column
};

// Makes bytes of them, four vectors at a time. No value leaves the integers and rounding keeps order, so `lo` and `hi`
// may clamp the rounded bytes, all at once.
template <class V, int R, int N, Finish kFinish>
struct ToBytes {
  using Tile = Sums<V, R, N>;
  using Words = decltype(V::splat_words(0));
  using Packed = decltype(V::pack(V::splat(0), V::splat(0), V::splat(0), V::splat(0), Words{}));

  const GemmU8Args& g;
  Words zero;
  Packed low, high;

  explicit ToBytes(const GemmU8Args& args) : g(args), zero(V::splat_words(args.zero)) {
    low = packed(V::splat(args.lo)), high = packed(V::splat(args.hi));
  }
  // As `same`, maybe for another tile, on a copy of its arguments.
  ToBytes(const GemmU8Args& args, const auto& same) : g(args), zero(same.zero), low(same.low), high(same.high) {}

  // The kGroup-th four vectors of a tile; all its columns exist where kWhole.
  template <int kGroup, bool kWhole = true>
  [[gnu::always_inline]] void group(const auto& t) const {
    constexpr int kAt = 4 * kGroup, kLast = Tile::kVectors - 1;
    constexpr auto kNext = [](int at) { return at < kLast ? at : kLast; };
    Packed bytes = V::pack(round<kNext(kAt), kWhole>(t), round<kNext(kAt + 1), kWhole>(t),
                           round<kNext(kAt + 2), kWhole>(t), round<kNext(kAt + 3), kWhole>(t), zero);
    store<kAt, 0, kWhole>(t, V::max_u8(low, V::min_u8(high, bytes)));
  }

  template <bool kWhole, int kGroup = 0>
  [[gnu::always_inline]] void all(const Tile& t) const {
    group<kGroup, kWhole>(t);
    if constexpr (kGroup + 1 < Tile::kGroups) all<kWhole, kGroup + 1>(t);
  }

 private:
  Packed packed(typename V::F y) const {
    const typename V::I l = V::round(y);
    return V::pack(l, l, l, l, zero);
  }

  // Of vector v's columns, those that there are.
  std::size_t count(const auto& t, int v) const {
    const std::size_t first = t.j + v * V::kLanes;
    return g.n <= first ? 0 : g.n - first < V::kLanes ? g.n - first : V::kLanes;
  }

  template <int kAt, bool kWhole>
  [[gnu::always_inline]] typename V::I round(const auto& t) const {
    constexpr int kRow = kAt / N, v = kAt % N;
    const std::size_t j = t.j + v * V::kLanes;
    typename V::F y = V::mul(V::to_float(V::load(t.at + kAt * V::kLanes)), V::load(g.scale + j));
    if constexpr (kFinish == Finish::added) {
      const std::uint8_t* from = g.r + (t.i + kRow) * g.r_stride + j;
      const typename V::I bytes = kWhole ? V::load_u8(from) : V::load_part_u8(from, count(t, v));
      y = V::clamp(y, g.pre_lo, g.pre_hi);
      return V::round(V::add(y, V::mul(V::to_float(V::sub(bytes, V::splat(g.r_zero))), V::splat(g.r_scale))));
    }
    return V::round(y);
  }

  template <int kAt, int kWhich, bool kWhole>
  [[gnu::always_inline]] void store(const auto& t, Packed bytes) const {
    constexpr int kCount = N < 4 ? N : 4;  // neighbours in memory
    if constexpr (kAt + kWhich < Tile::kVectors && kWhich < 4) {
      constexpr int kRow = (kAt + kWhich) / N, v = (kAt + kWhich) % N;
      std::uint8_t* to = static_cast<std::uint8_t*>(g.c) + (t.i + kRow) * g.c_stride + t.j + v * V::kLanes;
      if constexpr (kWhole) {
        V::template store_packed<kWhich, kCount>(to, bytes);
        store<kAt, kWhich + kCount, kWhole>(t, bytes);
      } else {
        V::template store_part<kWhich>(to, bytes, count(t, v));
        store<kAt, kWhich + 1, kWhole>(t, bytes);
      }
    }
  }
};

// Makes reals of them, likewise four vectors at a time.
template <class V, int R, int N>
struct ToReals {
  using Tile = Sums<V, R, N>;

  const GemmU8Args& g;

  explicit ToReals(const GemmU8Args& args) : g(args) {}
  ToReals(const GemmU8Args& args, const auto&) : g(args) {}

  template <int kGroup, bool kWhole = true>
  [[gnu::always_inline]] void group(const auto& t) const {
    static_assert(kWhole);
#pragma GCC unroll 4
    for (int at = 4 * kGroup; at < 4 * kGroup + 4 && at < Tile::kVectors; ++at) {
      const std::size_t j = t.j + at % N * V::kLanes;
      char* row = static_cast<char*>(g.c) + (t.i + at / N) * g.c_stride;
      typename V::F y = V::mul(V::to_float(V::load(t.at + at * V::kLanes)), V::load(g.scale + j));
      if (g.shift) y = V::add(y, V::load(g.shift + j));
      V::store(reinterpret_cast<float*>(row) + j, y);
    }
  }

  template <bool kWhole, int kGroup = 0>
  [[gnu::always_inline]] void all(const Tile& t) const {
    group<kGroup, kWhole>(t);
    if constexpr (kGroup + 1 < Tile::kGroups) all<kWhole, kGroup + 1>(t);
  }
};

// What a tile's sums become, four vectors at a time.
template <class V, int R, int N, Finish kFinish>
struct FinisherOf {
  using Type = ToBytes<V, R, N, kFinish>;
};
template <class V, int R, int N>
struct FinisherOf<V, R, N, Finish::reals> {
  using Type = ToReals<V, R, N>;
};
template <class V, int R, int N, Finish kFinish>
using Finisher = typename FinisherOf<V, R, N, kFinish>::Type;

template <class V, int N>
inline void subtract_zeros(const GemmU8Args& g, typename V::I (&acc)[N], std::size_t i, std::size_t j) {
  if (!g.row_sum) return;
#pragma GCC unroll 16
  for (int v = 0; v < N; ++v) {
    acc[v] = V::sub(acc[v], V::mul(V::splat(g.row_sum[i]), V::load(g.col_zero + j + v * V::kLanes)));
  }
}

// N vectors of one row in any form, from j on.
template <class V, int N>
inline void write_any(const GemmU8Args& g, const typename V::I (&acc)[N], std::size_t j, const std::uint8_t* r,
                      char* c) {
#pragma GCC unroll 16
  for (int v = 0; v < N; ++v) {
    const std::size_t at = v * V::kLanes;
    const std::uint8_t* residual = r ? r + at : nullptr;
    if (g.output == Output::i32) {
      V::store(reinterpret_cast<std::int32_t*>(c) + at, acc[v]);
    } else if (g.output == Output::f32) {
      typename V::F y = requantize<V>(g, acc[v], g.scale + j + at, residual);
      if (g.shift) y = V::add(y, V::load(g.shift + j + at));
      V::store(reinterpret_cast<float*>(c) + at, y);
    } else {
      requantize_to<V>(g, acc[v], g.scale + j + at, residual, reinterpret_cast<std::uint8_t*>(c) + at);
    }
  }
}

// One row of sums, R of them at `sums`, in any form; columns from n on go to a buffer and no further.
template <class V, int R, int N>
inline void finish_any(const GemmU8Args& g, const std::int32_t* sums, std::size_t i, std::size_t j) {
  constexpr std::size_t kWidth = N * V::kLanes;
  const std::size_t size = g.output == Output::u8 ? 1 : 4, columns = g.n - j < kWidth ? g.n - j : kWidth;
  for (std::size_t row = 0; row < R; ++row, ++i, sums += kWidth) {
    typename V::I acc[N];
#pragma GCC unroll 16
    for (int v = 0; v < N; ++v) acc[v] = V::load(sums + v * V::kLanes);
    subtract_zeros<V, N>(g, acc, i, j);
    char* c = static_cast<char*>(g.c) + i * g.c_stride + j * size;
    const std::uint8_t* r = g.r ? g.r + i * g.r_stride + j : nullptr;
    if (columns == kWidth) {
      write_any<V, N>(g, acc, j, r, c);
      continue;
    }
    std::uint8_t residual[kWidth] = {};
    char out[kWidth * 4];
    if (r) __builtin_memcpy(residual, r, columns);
    write_any<V, N>(g, acc, j, r ? residual : nullptr, out);
    __builtin_memcpy(c, out, columns * size);
  }
}

// Rows and columns of `t`, those from n on left out. Not inline: its constants would take registers from the products.
template <class V, int R, int N, Finish kFinish>
[[gnu::noinline]] void finish(const GemmU8Args& g, const Sums<V, R, N>& t) {
  if constexpr (kFinish == Finish::any) {
    finish_any<V, R, N>(g, t.at, t.i, t.j);
  } else if (g.n - t.j >= N * V::kLanes) {
    Finisher<V, R, N, kFinish>(g).template all<true>(t);
  } else if constexpr (kFinish == Finish::reals) {
    finish_any<V, R, N>(g, t.at, t.i, t.j);
  } else {
    ToBytes<V, R, N, kFinish>(g).template all<false>(t);
  }
}

template <class V, int R, int N>
[[gnu::always_inline]] inline void keep(Sums<V, R, N>& t, const typename V::I (&acc)[R][N], std::size_t i,
                                        std::size_t j) {
#pragma GCC unroll 16
  for (int v = 0; v < R * N; ++v) V::store(t.at + v * V::kLanes, acc[v / N][v % N]);
  t.i = i, t.j = j;
}

}  // namespace
}  // namespace quaver::kernels
