// Rows of floats to bytes, block by block, compiled for each instruction set. Internal linkage, for kernel files.
#pragma once

#include "kernels/nibble/panels.h"
#include "kernels/rounding.h"

namespace quaver::kernels {
namespace {

// The bits of the greatest absolute value, above all of which a NaN's are.
inline std::uint32_t greatest_bits(const float* a, std::size_t n) {
  std::uint32_t most = 0;
  for (std::size_t p = 0; p < n; ++p) {
    std::uint32_t bits;
    __builtin_memcpy(&bits, a + p, sizeof bits);
    bits &= 0x7FFFFFFFU;
    most = bits > most ? bits : most;
  }
  return most;
}

inline std::int32_t quantize_block(const float* __restrict a, std::size_t n, float factor, std::int8_t* __restrict q) {
  std::int32_t sum = 0;
  for (std::size_t p = 0; p < n; ++p) {
    const float t = a[p] * factor, known = t != t ? 0.0F : t;
    const std::int32_t byte = round_even(known);
    q[p] = static_cast<std::int8_t>(byte);
    sum += byte;
  }
  return sum;
}

void quantize_row(const NibbleRowArgs& args) {
  for (std::size_t b = 0, p = 0; p < args.k; ++b, p += args.block) {
    const std::size_t n = args.k - p < args.block ? args.k - p : args.block;
    const float m = __builtin_bit_cast(float, greatest_bits(args.a + p, n));
    const bool nothing = m < 0x1p-100F;
    args.step[b] = nothing ? 0.0F : m / 127.0F;
    args.sum[b] = quantize_block(args.a + p, n, nothing ? 0.0F : 127.0F / m, args.q + p);
    for (std::size_t rest = n; rest < args.block; ++rest) args.q[p + rest] = 0;
  }
}

}  // namespace
}  // namespace quaver::kernels
