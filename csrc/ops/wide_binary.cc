// Functions of two elements, and comparisons, of any element type.
#include <algorithm>

#include "ops/wide_functions.h"

namespace quaver {
namespace {

template <class T>
T integer_power(T base, std::int64_t exponent) {
  if (exponent < 0) return base == 1 ? T{1} : base == static_cast<T>(-1) ? (exponent % 2 ? base : T{1}) : T{0};
  std::uint64_t power = 1, square = static_cast<std::uint64_t>(base);
  for (; exponent; exponent >>= 1, square *= square) {
    if (exponent & 1) power *= square;
  }
  return static_cast<T>(power);
}

template <class T>
T quotient(T a, T b) {
  if (b == 0) return T{0};
  if constexpr (std::is_signed_v<T>) {
    if (b == T{-1}) return static_cast<T>(0 - static_cast<std::uint64_t>(a));
  }
  return static_cast<T>(a / b);
}

// With the sign of the divisor, as Python's %.
template <class T>
T modulo(T a, T b) {
  if (b == 0 || b == static_cast<T>(-1)) return b == 0 ? T{0} : static_cast<T>(std::is_signed_v<T> ? 0 : a % b);
  const T rest = static_cast<T>(a % b);
  return rest != 0 && (rest < 0) != (b < 0) ? static_cast<T>(rest + b) : rest;
}

template <class T>
T remainder(T a, T b) {
  if (b == 0 || (std::is_signed_v<T> && b == static_cast<T>(-1))) return T{0};
  return static_cast<T>(a % b);
}

double float_modulo(double a, double b) {
  const double rest = std::fmod(a, b);
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

// A NaN on either side is the result, as NumPy's minimum and maximum have it.
template <class T>
T least(T a, T b) {
  return a < b || a != a ? a : b;
}
template <class T>
T greatest(T a, T b) {
  return a > b || a != a ? a : b;
}

std::unique_ptr<Step> lower_reals(LowerContext& context) {
  const auto make = [&](auto f) { return wide_binary<double, double>(context, f); };
  const bool fmod = context.node.attrs.i("fmod", 0) != 0;
  switch (context.node.op) {
    case Op::Add: return make([](double a, double b) { return a + b; });
    case Op::Sub: return make([](double a, double b) { return a - b; });
    case Op::Mul: return make([](double a, double b) { return a * b; });
    case Op::Div: return make([](double a, double b) { return a / b; });
    case Op::PRelu: return make([](double a, double b) { return a < 0 ? a * b : a; });
    case Op::Pow: return make([](double a, double b) { return std::pow(a, b); });
    case Op::Min: return make(least<double>);
    case Op::Max: return make(greatest<double>);
    case Op::Mod: return fmod ? make([](double a, double b) { return std::fmod(a, b); }) : make(float_modulo);
    default: context.fail("it takes no floats");
  }
}

template <class W>
std::unique_ptr<Step> lower_integers(LowerContext& context) {
  const auto make = [&](auto f) { return wide_binary<W, W>(context, f); };
  const auto u = [](W x) { return static_cast<std::uint64_t>(x); };
  const bool fmod = context.node.attrs.i("fmod", 0) != 0;
  const bool left = context.node.op == Op::BitShift && context.node.attrs.s("direction") == "LEFT";
  switch (context.node.op) {
    case Op::Add: return make([u](W a, W b) { return static_cast<W>(u(a) + u(b)); });
    case Op::Sub: return make([u](W a, W b) { return static_cast<W>(u(a) - u(b)); });
    case Op::Mul: return make([u](W a, W b) { return static_cast<W>(u(a) * u(b)); });
    case Op::Div: return make(quotient<W>);
    case Op::PRelu: return make([u](W a, W b) { return a < 0 ? static_cast<W>(u(a) * u(b)) : a; });
    case Op::Pow: return make([](W a, W b) { return integer_power(a, static_cast<std::int64_t>(b)); });
    case Op::Min: return make(least<W>);
    case Op::Max: return make(greatest<W>);
    case Op::Mod: return fmod ? make(remainder<W>) : make(modulo<W>);
    case Op::And:
    case Op::BitwiseAnd: return make([](W a, W b) { return static_cast<W>(a & b); });
    case Op::Or:
    case Op::BitwiseOr: return make([](W a, W b) { return static_cast<W>(a | b); });
    case Op::Xor:
    case Op::BitwiseXor: return make([](W a, W b) { return static_cast<W>(a ^ b); });
    default:
      if (left) return make([u](W a, W b) { return u(b) > 63 ? W{0} : static_cast<W>(u(a) << u(b)); });
      // A shift by more than there is, or a negative one, leaves the sign.
      return make([u](W a, W b) { return static_cast<W>(a >> std::min<std::uint64_t>(u(b), 63) >> (u(b) > 63)); });
  }
}

template <class W>
std::unique_ptr<Step> lower_compared(LowerContext& context) {
  const auto make = [&](auto f) { return wide_binary<W, std::uint8_t>(context, f); };
  switch (context.node.op) {
    case Op::Equal: return make([](W a, W b) { return std::uint8_t{a == b}; });
    case Op::Less: return make([](W a, W b) { return std::uint8_t{a < b}; });
    case Op::LessOrEqual: return make([](W a, W b) { return std::uint8_t{a <= b}; });
    case Op::Greater: return make([](W a, W b) { return std::uint8_t{a > b}; });
    default: return make([](W a, W b) { return std::uint8_t{a >= b}; });
  }
}

}  // namespace

std::unique_ptr<Step> lower_wide_binary(LowerContext& context) {
  const DType a = context.input(0).dtype, b = context.input(1).dtype, y = context.output().dtype;
  if (a != y) context.fail("it cannot turn ", name_of(a), " into ", name_of(y));
  if (is_real(a) || (context.node.op == Op::Pow && is_real(b))) return lower_reals(context);
  if (a == DType::u64 || b == DType::u64) return lower_integers<std::uint64_t>(context);
  return lower_integers<std::int64_t>(context);
}

std::unique_ptr<Step> lower_wide_compare(LowerContext& context) {
  return with_wide(context.input(0).dtype, [&]<class W>(W) { return lower_compared<W>(context); });
}

std::unique_ptr<Step> lower_Pow(LowerContext& context) { return lower_wide_binary(context); }
std::unique_ptr<Step> lower_Mod(LowerContext& context) { return lower_wide_binary(context); }
std::unique_ptr<Step> lower_BitShift(LowerContext& context) { return lower_wide_binary(context); }

}  // namespace quaver
