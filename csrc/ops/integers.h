// Functions of plain integers.
#pragma once

#include <limits>

#include "kernels/elementwise/number.h"
#include "ops/elements.h"

namespace quaver {

// A real bound as a T, the nearest where it lies outside.
template <class T>
T saturate(double x) {
  using Limits = std::numeric_limits<T>;
  if (!(x > static_cast<double>(Limits::min()))) return Limits::min();
  return x >= static_cast<double>(Limits::max()) ? Limits::max() : static_cast<T>(x);
}

// An operation on each element and one number, clamped.
template <class T>
class IntegerStep final : public ElementStep {
 public:
  IntegerStep(const LowerContext& context, kernels::IntegerOp op, T number, T lo = std::numeric_limits<T>::min(),
              T hi = std::numeric_limits<T>::max())
      : kernel_(kernels::pick_integer<T>(context.isa).run), x_(context.in(0)), y_(context.out()), number_(number) {
    names(kernels::pick_integer<T>(context.isa));
    args_.op = op;
    args_.b_step = 0;
    args_.lo = lo, args_.hi = hi;
    split_elements(elements_of(context.output()), 2 * bytes_of(context.output()));
  }

 private:
  void run_elements(const RunContext& context, std::size_t begin, std::size_t end) const override {
    kernels::IntegerArgs<T> args = args_;
    args.n = end - begin;
    args.a = context.as<const T>(x_) + begin;
    args.b = &number_;
    args.c = context.as<T>(y_) + begin;
    kernel_(args);
  }

  void (*kernel_)(const kernels::IntegerArgs<T>&);
  kernels::IntegerArgs<T> args_;
  ValueId x_, y_;
  T number_;
};

}  // namespace quaver
