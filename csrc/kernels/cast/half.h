// The 16-bit floats, by their bits. Functions have internal linkage.
#pragma once

#include <cstdint>

namespace quaver {

struct Half {
  std::uint16_t bits;
};

struct Bfloat {
  std::uint16_t bits;
};

namespace {

template <bool kWide>
struct BitsOf {
  using Type = std::uint32_t;
};
template <>
struct BitsOf<true> {
  using Type = std::uint64_t;
};

[[maybe_unused]] inline float to_float(Bfloat x) { return __builtin_bit_cast(float, std::uint32_t{x.bits} << 16); }

// Without a branch, so that loops become vectors: the bits moved to where a float has them mean 2^-112 of the number,
// subnormal ones too, and what had all bits of an exponent gets them again.
[[maybe_unused]] inline float to_float(Half x) {
  const std::uint32_t moved = (x.bits & 0x7FFFU) << 13, top = x.bits & 0x7C00U;
  const std::uint32_t magnitude = __builtin_bit_cast(std::uint32_t, __builtin_bit_cast(float, moved) * 0x1p112F);
  const std::uint32_t all = top == 0x7C00U ? 0x7F800000U : 0U, sign = (x.bits & 0x8000U) << 16;
  return __builtin_bit_cast(float, magnitude | all | sign);
}

// To the nearest even, with `kFraction` bits of fraction and exponents as an IEEE format of 16 bits has them; of a NaN
// as many bits of its fraction as there is room for, and that it is a quiet one. Real: float or double.
template <int kFraction, class Real>
std::uint16_t to_16_bits(Real x) {
  constexpr bool kWide = sizeof(Real) == 8;
  using Bits = typename BitsOf<kWide>::Type;
  constexpr int kOwn = kWide ? 52 : 23, kOwnBias = kWide ? 1023 : 127;
  constexpr int kBias = (1 << (14 - kFraction)) - 1, kShift = kOwn - kFraction;
  constexpr Bits kInf = (Bits{1} << 15) - (Bits{1} << kFraction), kBit = 1;
  constexpr Bits kRebias = Bits{kOwnBias - kBias} << kFraction;
  const Bits bits = __builtin_bit_cast(Bits, x), size = bits & (~Bits{0} >> 1),
             sign = bits >> (8 * sizeof(Real) - 16) & 0x8000;
  // Normal numbers: the carry of rounding up runs into the exponent, at the top into infinity.
  const Bits rounded = (size + (size >> kShift & 1) + (kBit << (kShift - 1)) - 1) >> kShift;
  const Bits rebiased = rounded - kRebias, normal = rebiased > kInf ? kInf : rebiased;
  // Subnormal ones in units of the last place, to which adding a large number rounds.
  constexpr Real kLarge = __builtin_bit_cast(Real, Bits{kOwnBias + kOwn + 1 - kBias - kFraction} << kOwn);
  const Bits units =
      __builtin_bit_cast(Bits, __builtin_bit_cast(Real, size) + kLarge) - __builtin_bit_cast(Bits, kLarge);
  const Bits nan = kInf | kBit << (kFraction - 1) | (size >> kShift & ((kBit << kFraction) - 1));
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

// Cut toward zero and held at T's ends; NaN is 0. Without a branch, so that loops become vectors.
template <class T, class Real>
T cut(Real x) {
  constexpr bool kSigned = static_cast<T>(-1) < T{0};
  constexpr T kMost = static_cast<T>(~std::uint64_t{0} >> (64 - 8 * sizeof(T) + (kSigned ? 1 : 0)));
  constexpr Real kLeast = static_cast<Real>(static_cast<T>(kSigned ? -1 - kMost : 0));
  constexpr Real kBeyond = Real{2} * static_cast<Real>(kMost / 2 + 1);
  const Real above = x >= kLeast ? x : kLeast;
  const bool below = above < kBeyond;
  const T inside = static_cast<T>(below ? above : Real{0}), held = below ? inside : kMost;
  return x == x ? held : T{0};
}

}  // namespace
}  // namespace quaver
