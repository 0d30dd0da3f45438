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
  added,  // and a residual
  any,    // whatever the arguments say
};

inline Finish finish_of(const GemmU8Args& g) {
  // A clamp this wide changes no result, since [lo, hi] is narrower by far than the residual could make up for.
  const bool pre = g.pre_lo > -3.4e38F || g.pre_hi < 3.4e38F || __builtin_fabsf(g.r_scale) > 1e30F;
  if (g.output != Output::u8 || g.row_sum || pre) return Finish::any;
  return g.r ? Finish::added : Finish::plain;
}

template <class V, Finish kFinish>
inline typename V::I byte_of(const GemmU8Args& g, typename V::I acc, const float* scale, const std::uint8_t* r) {
  typename V::F y;
  if constexpr (kFinish == Finish::any) {
    y = requantize<V>(g, acc, scale, r);
  } else {
    y = V::mul(V::to_float(acc), V::load(scale));
    if constexpr (kFinish == Finish::added) y = V::add(y, residual<V>(g, r));
    y = V::clamp(y, g.lo, g.hi);
  }
  return V::add(V::round(y), V::splat(g.zero));
}

// N vectors of one row; `scale` and `r` (or null) belong to the first lane, `c` takes it.
template <class V, int N, Finish kFinish>
inline void write_u8(const GemmU8Args& g, const typename V::I (&acc)[N], const float* scale, const std::uint8_t* r,
                     std::uint8_t* c) {
  typename V::I bytes[N];
#pragma GCC unroll 16
  for (int v = 0; v < N; ++v) {
    const std::size_t at = v * V::kLanes;
    bytes[v] = byte_of<V, kFinish>(g, acc[v], scale + at, r ? r + at : nullptr);
  }
#pragma GCC unroll 16
  for (int v = 0; v + 1 < N; v += 2) V::store_u8(c + v * V::kLanes, bytes[v], bytes[v + 1]);
  if constexpr (N % 2 == 1) V::store_u8(c + (N - 1) * V::kLanes, bytes[N - 1]);
}

template <class V, int N, Finish kFinish>
inline void write(const GemmU8Args& g, const typename V::I (&acc)[N], std::size_t j, const std::uint8_t* r, char* c) {
  if (kFinish != Finish::any || g.output == Output::u8) {
    return write_u8<V, N, kFinish>(g, acc, g.scale + j, r, reinterpret_cast<std::uint8_t*>(c));
  }
#pragma GCC unroll 16
  for (int v = 0; v < N; ++v) {
    const std::size_t at = v * V::kLanes;
    if (g.output == Output::i32) {
      V::store(reinterpret_cast<std::int32_t*>(c) + at, acc[v]);
    } else {
      V::store(reinterpret_cast<float*>(c) + at, requantize<V>(g, acc[v], g.scale + j + at, r ? r + at : nullptr));
    }
  }
}

// The same for the columns before n of a row with these sums: the rest goes to a buffer and no further.
template <class V, int N, Finish kFinish>
[[gnu::noinline]] void write_part(const GemmU8Args& g, const std::int32_t* sums, std::size_t j, const std::uint8_t* r,
                                  char* c) {
  const std::size_t columns = g.n - j;
  typename V::I acc[N];
#pragma GCC unroll 16
  for (int v = 0; v < N; ++v) acc[v] = V::load(sums + v * V::kLanes);
  std::uint8_t residual[N * V::kLanes] = {};
  char out[N * V::kLanes * 4];
  if (r) __builtin_memcpy(residual, r, columns);
  write<V, N, kFinish>(g, acc, j, r ? residual : nullptr, out);
  __builtin_memcpy(c, out, columns * (g.output == Output::u8 ? 1 : 4));
}

// Rows [i, i + R), columns [j, j + N vectors), those from n on left out.
template <class V, int R, int N, Finish kFinish>
[[gnu::always_inline]] inline void finish(const GemmU8Args& given, typename V::I (&acc)[R][N], std::size_t i,
                                          std::size_t j) {
  if (kFinish == Finish::any && given.row_sum) {
#pragma GCC unroll 16
    for (int v = 0; v < N; ++v) {
      const typename V::I zero = V::load(given.col_zero + j + v * V::kLanes);
#pragma GCC unroll 16
      for (int row = 0; row < R; ++row) {
        acc[row][v] = V::sub(acc[row][v], V::mul(V::splat(given.row_sum[i + row]), zero));
      }
    }
  }
  const GemmU8Args g = given;  // whose fields no store of bytes can change, so they stay in registers
  char* c = static_cast<char*>(g.c) + i * g.c_stride + j * (g.output == Output::u8 ? 1 : 4);
  const std::uint8_t* r = kFinish != Finish::plain && g.r ? g.r + i * g.r_stride + j : nullptr;
  if (g.n - j < N * V::kLanes) {
    std::int32_t sums[R][N * V::kLanes];
#pragma GCC unroll 16
    for (int v = 0; v < R * N; ++v) V::store(sums[v / N] + v % N * V::kLanes, acc[v / N][v % N]);
    for (int row = 0; row < R; ++row) {
      write_part<V, N, kFinish>(given, sums[row], j, r ? r + row * g.r_stride : nullptr, c + row * g.c_stride);
    }
    return;
  }
#pragma GCC unroll 16
  for (int row = 0; row < R; ++row) {
    write<V, N, kFinish>(g, acc[row], j, r ? r + row * g.r_stride : nullptr, c + row * g.c_stride);
  }
}

}  // namespace
}  // namespace quaver::kernels
