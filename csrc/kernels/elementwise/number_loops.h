// The loops behind number.h, written once and compiled for each instruction set.
#pragma once

#include "kernels/elementwise/number.h"
#include "kernels/elementwise/zip.h"

namespace quaver::kernels {
namespace {

template <bool kWide>
struct UnsignedOf {
  using Type = std::uint32_t;
};
template <>
struct UnsignedOf<true> {
  using Type = std::uint64_t;
};

// In double precision, which holds all quotients of int32 and makes a vector of the loop; the least by -1 wraps.
inline std::int32_t quotient(std::int32_t a, std::int32_t b) {
  const double q = static_cast<double>(a) / static_cast<double>(b == 0 ? 1 : b);
  const auto cut = static_cast<std::int32_t>(q > 2147483647.0 ? -2147483648.0 : q);
  return b == 0 ? 0 : cut;
}
inline std::int64_t quotient(std::int64_t a, std::int64_t b) {
  if (b == -1) return static_cast<std::int64_t>(0 - static_cast<std::uint64_t>(a));
  return b == 0 ? 0 : a / b;
}

template <class T, class F>
void zip_integers(const IntegerArgs<T>& args, F f) {
  const T lo = args.lo, hi = args.hi;
  zip(args.n, args.a, args.a_step, args.b, args.b_step, args.c, [=](T a, T b) {
    const T c = f(a, b), above = c < lo ? lo : c;
    return above > hi ? hi : above;
  });
}

template <class T>
void integer_bits(const IntegerArgs<T>& args) {
  switch (args.op) {
    case IntegerOp::bit_and: return zip_integers(args, [](T a, T b) { return static_cast<T>(a & b); });
    case IntegerOp::bit_or: return zip_integers(args, [](T a, T b) { return static_cast<T>(a | b); });
    default: return zip_integers(args, [](T a, T b) { return static_cast<T>(a ^ b); });
  }
}

template <class T>
void integer_arithmetic(const IntegerArgs<T>& args) {
  using U = typename UnsignedOf<sizeof(T) == 8>::Type;
  const auto difference = [](T a, T b) { return static_cast<T>(static_cast<U>(a) - static_cast<U>(b)); };
  switch (args.op) {
    case IntegerOp::sub: return zip_integers(args, difference);
    case IntegerOp::mul:
      return zip_integers(args, [](T a, T b) { return static_cast<T>(static_cast<U>(a) * static_cast<U>(b)); });
    case IntegerOp::div: return zip_integers(args, [](T a, T b) { return quotient(a, b); });
    case IntegerOp::max: return zip_integers(args, [](T a, T b) { return a > b ? a : b; });
    case IntegerOp::min: return zip_integers(args, [](T a, T b) { return a < b ? a : b; });
    default:
      return zip_integers(args, [=](T a, T b) {
        const T d = difference(a, b), other = difference(b, a);
        return d < 0 ? other : d;
      });
  }
}

template <class T>
void integer(const IntegerArgs<T>& args) {
  using U = typename UnsignedOf<sizeof(T) == 8>::Type;
  if (args.op == IntegerOp::add) {
    return zip_integers(args, [](T a, T b) { return static_cast<T>(static_cast<U>(a) + static_cast<U>(b)); });
  }
  constexpr bool kWhole = sizeof(T) >= 4, kTruths = !kWhole && static_cast<T>(-1) > 0;
  if constexpr (kTruths) integer_bits(args);
  if constexpr (kWhole) args.op >= IntegerOp::bit_and ? integer_bits(args) : integer_arithmetic(args);
}

// A comparison is one of three, of its operands in this order or the other.
template <class T>
void compare(const CompareArgs<T>& args) {
  const auto run = [&](const T* a, std::size_t a_step, const T* b, std::size_t b_step, auto f) {
    zip(args.n, a, a_step, b, b_step, args.c, [=](T x, T y) { return static_cast<std::uint8_t>(f(x, y)); });
  };
  const auto equal = [](T x, T y) { return x == y; };
  const auto less = [](T x, T y) { return x < y; };
  const auto less_equal = [](T x, T y) { return x <= y; };
  switch (args.op) {
    case CompareOp::equal: return run(args.a, args.a_step, args.b, args.b_step, equal);
    case CompareOp::less: return run(args.a, args.a_step, args.b, args.b_step, less);
    case CompareOp::less_equal: return run(args.a, args.a_step, args.b, args.b_step, less_equal);
    case CompareOp::greater: return run(args.b, args.b_step, args.a, args.a_step, less);
    case CompareOp::greater_equal: return run(args.b, args.b_step, args.a, args.a_step, less_equal);
  }
}

void test_f32(const TestF32Args& args) {
  const auto run = [](std::size_t n, const float* __restrict x, std::uint8_t* __restrict y, auto f) {
    for (std::size_t i = 0; i < n; ++i) y[i] = f(x[i]);
  };
  const float lo = args.lo, hi = args.hi;
  if (args.op == TestOp::nan) return run(args.n, args.x, args.y, [](float x) { return x != x; });
  run(args.n, args.x, args.y, [=](float x) { return static_cast<std::uint8_t>(x < lo) | (x > hi); });
}

}  // namespace
}  // namespace quaver::kernels
