// What the bf16 products of x86 share. Internal linkage, for kernel files.
#pragma once

#include "kernels/gemm/bf16.h"
#include "kernels/gemm/gemm_bf16.h"
#include "kernels/gemm/gemm_float_tile.h"
#include "kernels/intrinsics_x86.h"

namespace quaver::kernels {
namespace {

template <class T>
void gemm_bf16(const GemmBf16Args& given) {
  GemmBf16Args g = given;
  float* const bounds[] = {&g.pre_lo, &g.pre_hi, &g.lo, &g.hi};
  for (float* bound : bounds) *bound = flushed(*bound);
  // Vector instructions take and give zeros for denormals meanwhile, as vdpbf16ps always does.
  constexpr unsigned kFlushToZero = 0x8000, kDenormalsAreZeros = 0x40;
  const unsigned before = _mm_getcsr();
  _mm_setcsr(before | kFlushToZero | kDenormalsAreZeros);
  gemm_float<T>(g);
  _mm_setcsr(before);
}

// A pair of a row's values, or the last one and a zero.
template <std::size_t kValues>
inline std::int32_t pair_at(const std::uint16_t* row) {
  return kValues == 2 ? read<std::int32_t>(row) : std::int32_t{*row};
}

// By fp32 multiply-adds, on CPUs without vdpbf16ps. A product of two bf16 is exact in fp32.
template <class Vec>
struct Widened {
  using V = Vec;
  using Args = GemmBf16Args;
  using Element = std::uint16_t;
  static constexpr std::size_t kDepth = 2, kStretch = 0;

  template <std::size_t kValues, int R, int N>
  [[gnu::always_inline]] static void step(typename V::F (&acc)[R][N], const std::uint16_t* const (&rows)[R],
                                          const std::uint16_t* const (&w)[N]) {
    add<kValues>(acc, rows, w, [](typename V::I pairs) { return V::odd(pairs); });
    // Keeps the compiler from preparing both halves of the weights at once, for which there are no registers.
    __asm__ volatile("" ::: "memory");
    add<kValues>(acc, rows, w, [](typename V::I pairs) { return V::even(pairs); });
  }

 private:
  template <std::size_t kValues, int R, int N, class Half>
  [[gnu::always_inline]] static void add(typename V::F (&acc)[R][N], const std::uint16_t* const (&rows)[R],
                                         const std::uint16_t* const (&w)[N], Half half) {
    typename V::F b[N];
#pragma GCC unroll 16
    for (int v = 0; v < N; ++v) b[v] = half(V::load(reinterpret_cast<const std::int32_t*>(w[v])));
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
