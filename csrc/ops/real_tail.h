// A function that a step applies to its fp32 results while they are in the nearest cache, in place of a step of its own
// (Step::absorb_function).
#pragma once

#include "ops/op.h"

namespace quaver {

class RealTail {
 public:
  // False where there is one already.
  bool add(const RealFunction& function) {
    if (function_.kernel) return false;
    function_ = function;
    return true;
  }

  // `rows` rows of `columns` results each, `stride` bytes apart, in place.
  void run(std::byte* at, std::size_t rows, std::size_t columns, std::size_t stride) const {
    if (!function_.kernel) return;
    if (columns * sizeof(float) == stride) columns *= rows, rows = 1;
    kernels::UnaryF32Args args = function_.args;
    args.n = columns;
    for (std::size_t row = 0; row < rows; ++row) {
      args.x = args.y = reinterpret_cast<float*>(at + row * stride);
      function_.kernel->run(args);
    }
  }

 private:
  RealFunction function_;
};

}  // namespace quaver
