// Products and depthwise convolutions as the textbook has them: weights as they come, sums in wide types, one result at
// a time. `row(i, t)` gives the values that tap t of result row i multiplies.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace reference {

// Σ over taps and k of row(i, t)[p] · w[(j · taps + t) · k + p].
template <class Sum, class Row, class W>
Sum product(Row row, const W* w, std::size_t i, std::size_t j, std::size_t taps, std::size_t k) {
  Sum sum = 0;
  for (std::size_t t = 0; t < taps; ++t) {
    for (std::size_t p = 0; p < k; ++p)
      sum += static_cast<Sum>(row(i, t)[p]) * static_cast<Sum>(w[(j * taps + t) * k + p]);
  }
  return sum;
}

// Σ over taps of row(i, t)[c] · w[t · channels + c].
template <class Sum, class Row, class W>
Sum depthwise(Row row, const W* w, std::size_t i, std::size_t c, std::size_t taps, std::size_t channels) {
  Sum sum = 0;
  for (std::size_t t = 0; t < taps; ++t) sum += static_cast<Sum>(row(i, t)[c]) * static_cast<Sum>(w[t * channels + c]);
  return sum;
}

// y of gemm_u8.h, before rounding. Args: GemmU8Args or DepthwiseU8Args; `residual` is null or one byte.
template <class Args>
float requantize(const Args& g, std::int32_t acc, float scale, const std::uint8_t* residual) {
  float y = static_cast<float>(acc) * scale;
  y = std::fmin(std::fmax(y, g.pre_lo), g.pre_hi);
  if (residual) {
    const float more = static_cast<float>(static_cast<int>(*residual) - g.r_zero) * g.r_scale;
    y += more;
  }
  return std::fmin(std::fmax(y, g.lo), g.hi);
}

template <class Args>
std::uint8_t to_byte(const Args& g, float y) {
  return static_cast<std::uint8_t>(static_cast<int>(std::nearbyint(y)) + g.zero);
}

}  // namespace reference
