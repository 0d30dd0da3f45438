// The 16-bit floats, by their bits.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace quaver {

struct Half {
  std::uint16_t bits;
};

struct Bfloat {
  std::uint16_t bits;
};

inline double to_double(Bfloat x) { return std::bit_cast<float>(std::uint32_t{x.bits} << 16); }

inline double to_double(Half x) {
  const int exponent = x.bits >> 10 & 31, fraction = x.bits & 1023;
  const double magnitude = exponent == 31  ? (fraction ? std::nan("") : HUGE_VAL)
                           : exponent == 0 ? std::ldexp(fraction, -24)
                                           : std::ldexp(1024 + fraction, exponent - 25);
  return x.bits & 0x8000 ? -magnitude : magnitude;
}

// To the nearest even, with `kFraction` bits of fraction and exponents as an IEEE format of 16 bits has them.
template <int kFraction>
std::uint16_t to_16_bits(double x) {
  constexpr int kExponent = 15 - kFraction, kBias = (1 << (kExponent - 1)) - 1, kInf = (1 << 15) - (1 << kFraction);
  const std::uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  const double magnitude = std::fabs(x);
  if (std::isnan(x)) return static_cast<std::uint16_t>(sign | kInf | 1 << (kFraction - 1));
  if (std::isinf(x)) return static_cast<std::uint16_t>(sign | kInf);
  // In units of the last place; the carry of rounding up runs into the exponent, at the top into infinity.
  const int exponent = magnitude == 0 ? 1 - kBias : std::max(std::ilogb(magnitude), 1 - kBias);
  if (exponent > kBias) return static_cast<std::uint16_t>(sign | kInf);
  const auto units = static_cast<int>(std::nearbyint(std::ldexp(magnitude, kFraction - exponent)));
  return static_cast<std::uint16_t>(sign | (units + ((exponent + kBias - 1) << kFraction)));
}

inline Half to_half(double x) { return {to_16_bits<10>(x)}; }
inline Bfloat to_bfloat(double x) { return {to_16_bits<7>(x)}; }

}  // namespace quaver
