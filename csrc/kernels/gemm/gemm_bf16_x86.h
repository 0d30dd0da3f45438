// What the bf16 products of x86 share. Internal linkage, for kernel files.
#pragma once

#include "kernels/gemm/bf16.h"
#include "kernels/gemm/gemm_bf16.h"
#include "kernels/gemm/gemm_float_tile.h"
#include "kernels/intrinsics_x86.h"

namespace quaver::kernels {
namespace {

// The product by `run`, with bounds that are no denormals.
template <class Run>
inline void flushing_denormals(const GemmBf16Args& given, Run run) {
  GemmBf16Args g = given;
  float* const bounds[] = {&g.pre_lo, &g.pre_hi, &g.lo, &g.hi};
  for (float* bound : bounds) *bound = flushed(*bound);
  // Vector instructions take and give zeros for denormals meanwhile, as vdpbf16ps always does.
  constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZeros = 0x40;
  const unsigned before = _mm_getcsr();
  _mm_setcsr(before | kFlushToZero | kDenormalsAreZeros);
  run(g);
  _mm_setcsr(before);
}

template <class T>
void gemm_bf16(const GemmBf16Args& given) {
  flushing_denormals(given, [](const GemmBf16Args& g) { gemm_float<T>(g); });
}

// Tiles of the float products (gemm_float_tile.h): what all traits of bf16 share.
template <class Vec>
struct Bf16Tile {
  using V = Vec;
  using Args = GemmBf16Args;
  using Element = std::uint16_t;
  static constexpr std::size_t kDepth = 2, kStretch = 2 * kBf16Chain;
  static constexpr std::size_t kRow = 2 * kGemmBf16Panel, kStep = 2 * kRow;  // odd values, and then even ones
  static constexpr int kChains = 2;

  static typename V::I load(const std::uint16_t* w) { return V::load(reinterpret_cast<const std::int32_t*>(w)); }
};

// A pair of a row's values, or the last one and a zero.
template <std::size_t kValues>
inline std::int32_t pair_at(const std::uint16_t* row) {
  return kValues == 2 ? read<std::int32_t>(row) : std::int32_t{*row};
}

// By fp32 multiply-adds, on CPUs without vdpbf16ps. A product of two bf16 is exact in fp32.
template <class Vec>
struct Widened : Bf16Tile<Vec> {
  using V = Vec;
  using Tile = Bf16Tile<Vec>;

  template <std::size_t kValues, int kChain, int R, int N>
  [[gnu::always_inline]] static void step(typename V::F (&acc)[R][N], const std::uint16_t* const (&rows)[R],
                                          const std::uint16_t* const (&w)[N]) {
    add<kValues, kChain>(acc, rows, w, 0, [](typename V::I pair) { return V::odd(pair); });
    // Keeps the compiler from preparing both halves of the weights at once, for which there are no registers.
    __asm__ volatile("" ::: "memory");
    add<kValues, kChain>(acc, rows, w, Tile::kRow, [](typename V::I pair) { return V::even(pair); });
  }

 private:
  template <std::size_t kValues, int kChain, int R, int N, class Half>
  [[gnu::always_inline]] static void add(typename V::F (&acc)[R][N], const std::uint16_t* const (&rows)[R],
                                         const std::uint16_t* const (&w)[N], std::size_t at, Half half) {
    typename V::F b[N];
#pragma GCC unroll 16
    for (int v = 0; v < N; ++v) b[v] = kChain ? V::odd(Tile::load(w[v] + at)) : V::even(Tile::load(w[v] + at));
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const typename V::F a = half(V::splat(pair_at<kValues>(rows[r])));
#pragma GCC unroll 16
      for (int v = 0; v < N; ++v) acc[r][v] = V::fma(a, b[v], acc[r][v]);
    }
  }
};

template <class V>
void round_bf16_all(const float* x, std::size_t n, std::uint16_t* out) {
  std::size_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) V::store_upper(out + i, V::round_upper(V::load(x + i)));
  for (; i < n; ++i) out[i] = round_bf16(x[i]);
}

}  // namespace
}  // namespace quaver::kernels
