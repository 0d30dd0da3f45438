// The epilogue of the u8 kernels on vectors V, one IEEE operation per step of the formula in gemm_u8.h.
// Internal linkage, for kernel files.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quaver::kernels {
namespace {

// What a residual whose bytes start at `r` adds to y.
template <class V, class Args>
inline typename V::F residual(const Args& g, const std::uint8_t* r) {
  return V::mul(V::to_float(V::sub(V::load_u8(r), V::splat(g.r_zero))), V::splat(g.r_scale));
}

// y after the last clamp, for the lanes whose scales start at `scale` and whose residuals start at `r` (or null).
template <class V, class Args>
inline typename V::F requantize(const Args& g, typename V::I acc, const float* scale, const std::uint8_t* r) {
  typename V::F y = V::mul(V::to_float(acc), V::load(scale));
  y = V::clamp(y, g.pre_lo, g.pre_hi);
  if (r) y = V::add(y, residual<V>(g, r));
  return V::clamp(y, g.lo, g.hi);
}

template <class V, class Args>
inline void requantize_to(const Args& g, typename V::I acc, const float* scale, const std::uint8_t* r,
                          std::uint8_t* c) {
  V::store_u8(c, V::add(V::round(requantize<V>(g, acc, scale, r)), V::splat(g.zero)));
}

}  // namespace
}  // namespace quaver::kernels
