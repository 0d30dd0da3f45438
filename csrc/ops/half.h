// The 16-bit floats, by their bits.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

namespace quaver {

struct Half {
  std::uint16_t bits;
};

struct Bfloat {
  std::uint16_t bits;
};

inline double to_double(Bfloat x) { return std::bit_cast<float>(std::uint32_t{x.bits} << 16); }

// Without a branch, so that loops become vectors: the bits moved to where a float has them mean 2^-112 of the number,
// subnormal ones too, and what had all bits of an exponent gets them again.
inline double to_double(Half x) {
  const std::uint32_t moved = (x.bits & 0x7FFFU) << 13, top = x.bits & 0x7C00U;
  const std::uint32_t magnitude = std::bit_cast<std::uint32_t>(std::bit_cast<float>(moved) * 0x1p112F);
  const std::uint32_t all = top == 0x7C00U ? 0x7F800000U : 0U, sign = (x.bits & 0x8000U) << 16;
  return std::bit_cast<float>(magnitude | all | sign);
}

// To the nearest even, with `kFraction` bits of fraction and exponents as an IEEE format of 16 bits has them. Real:
// float or double.
template <int kFraction, class Real>
std::uint16_t to_16_bits(Real x) {
  constexpr bool kWide = sizeof(Real) == 8;
  using Bits = std::conditional_t<kWide, std::uint64_t, std::uint32_t>;
  constexpr int kOwn = kWide ? 52 : 23, kOwnBias = kWide ? 1023 : 127;
  constexpr int kBias = (1 << (14 - kFraction)) - 1, kShift = kOwn - kFraction;
  constexpr Bits kInf = (Bits{1} << 15) - (Bits{1} << kFraction), kBit = 1;
  constexpr Bits kRebias = Bits{kOwnBias - kBias} << kFraction;
  const Bits bits = std::bit_cast<Bits>(x), size = bits & (~Bits{0} >> 1),
             sign = bits >> (8 * sizeof(Real) - 16) & 0x8000;
  // Normal numbers: the carry of rounding up runs into the exponent, at the top into infinity.
  const Bits rounded = (size + (size >> kShift & 1) + (kBit << (kShift - 1)) - 1) >> kShift;
  const Bits rebiased = rounded - kRebias, normal = rebiased > kInf ? kInf : rebiased;
  // Subnormal ones in units of the last place, to which adding a large number rounds.
  constexpr Real kLarge = std::bit_cast<Real>(Bits{kOwnBias + kOwn + 1 - kBias - kFraction} << kOwn);
  const Bits units = std::bit_cast<Bits>(std::bit_cast<Real>(size) + kLarge) - std::bit_cast<Bits>(kLarge);
  const Bits nan = kInf | kBit << (kFraction - 1);
  const bool is_nan = size > Bits{2 * kOwnBias + 1} << kOwn, small = size < Bits{kOwnBias + 1 - kBias} << kOwn;
  // By masks: of choices compilers make branches here.
  const Bits by_units = Bits{0} - Bits{small}, by_nan = Bits{0} - Bits{is_nan};
  const Bits number = (units & by_units) | (normal & ~by_units);
  return static_cast<std::uint16_t>(sign | (nan & by_nan) | (number & ~by_nan));
}

template <class Real>
Half to_half(Real x) {
  return {to_16_bits<10>(x)};
}
template <class Real>
Bfloat to_bfloat(Real x) {
  return {to_16_bits<7>(x)};
}

}  // namespace quaver
