// Arithmetic on plain int32 and int64, as shapes need it: it wraps on overflow, a division truncates toward zero, and
// what C++ leaves open is defined: x / 0 = 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "graph/graph.h"
#include "isa/isa.h"

namespace quaver {

// A real bound as a T, the nearest where it lies outside.
template <class T>
T saturate(double x) {
  using Limits = std::numeric_limits<T>;
  if (!(x > static_cast<double>(Limits::min()))) return Limits::min();
  return x >= static_cast<double>(Limits::max()) ? Limits::max() : static_cast<T>(x);
}

template <class T>
T negate(T x) {
  return static_cast<T>(std::make_unsigned_t<T>{0} - static_cast<std::make_unsigned_t<T>>(x));
}

template <class T>
T compute(Op op, T a, T b) {
  using U = std::make_unsigned_t<T>;
  const U x = static_cast<U>(a), y = static_cast<U>(b);
  switch (op) {
    case Op::Add: return static_cast<T>(x + y);
    case Op::Sub: return static_cast<T>(x - y);
    case Op::Mul: return static_cast<T>(x * y);
    default: return b == 0 ? T{0} : b == T{-1} ? negate(a) : static_cast<T>(a / b);
  }
}

template <class T>
struct IntegerArgs {
  Op op = Op::Add;
  std::size_t n = 0;
  const T* a = nullptr;
  const T* b = nullptr;
  std::size_t a_step = 1, b_step = 1;
  T lo = std::numeric_limits<T>::min(), hi = std::numeric_limits<T>::max();
  T* c = nullptr;
};

template <class T, class F>
void zip_integers(const IntegerArgs<T>& args, F f) {
  const auto run = [&](std::size_t a_step, std::size_t b_step) {
    for (std::size_t i = 0; i < args.n; ++i) {
      const T c = f(args.a[i * a_step], args.b[i * b_step]);
      args.c[i] = c < args.lo ? args.lo : c > args.hi ? args.hi : c;
    }
  };
  args.a_step == 1 && args.b_step == 1 ? run(1, 1) : run(args.a_step, args.b_step);
}

// A loop for each operation, so that compilers make vectors of those that have them.
template <class T>
void binary_integer(const IntegerArgs<T>& args) {
  switch (args.op) {
    case Op::Add: return zip_integers(args, [](T a, T b) { return compute(Op::Add, a, b); });
    case Op::Sub: return zip_integers(args, [](T a, T b) { return compute(Op::Sub, a, b); });
    case Op::Mul: return zip_integers(args, [](T a, T b) { return compute(Op::Mul, a, b); });
    default: return zip_integers(args, [](T a, T b) { return compute(Op::Div, a, b); });
  }
}

template <class T>
struct IntegerKernel {
  const char* name = "integer";
  Isa isa = Isa::scalar;
  void (*run)(const IntegerArgs<T>&) = &binary_integer<T>;
};

}  // namespace quaver
