// A run of two operands, each of which goes on by one element or stands still.
#pragma once

#include <cstddef>

namespace quaver::kernels {
namespace {

// c[i] = f(a[i · a_step], b[i · b_step]), with steps known to the compiler.
template <class A, class B, class C, class F>
void zip(std::size_t n, const A* __restrict a, std::size_t a_step, const B* __restrict b, std::size_t b_step,
         C* __restrict c, F f) {
  if (n == 1 || (a_step && b_step)) {
    for (std::size_t i = 0; i < n; ++i) c[i] = f(a[i], b[i]);
  } else if (a_step) {
    const B one = *b;
    for (std::size_t i = 0; i < n; ++i) c[i] = f(a[i], one);
  } else if (b_step) {
    const A one = *a;
    for (std::size_t i = 0; i < n; ++i) c[i] = f(one, b[i]);
  } else {
    const C one = n ? f(*a, *b) : C{};
    for (std::size_t i = 0; i < n; ++i) c[i] = one;
  }
}

}  // namespace
}  // namespace quaver::kernels
