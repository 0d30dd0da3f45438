// What a step does to its fp32 results while they are in the nearest cache, in place of steps of their own: functions
// of each (Step::absorb_function), and then the rounding to bytes (Step::absorb_rounding).
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "ops/op.h"

namespace quaver {

class RealTail {
 public:
  // False where nothing can follow what there is.
  bool add(const RealFunction& function) {
    if (rounding_) return false;
    if (functions_.empty() || !join(functions_.back().args, function.args)) functions_.push_back(function);
    return true;
  }
  bool add(const ByteRounding& rounding) {
    if (rounding_) return false;
    rounding_ = rounding;
    return true;
  }

  // Results are written to a dense tile of floats then, and from there to the output.
  bool makes_bytes() const { return rounding_.has_value(); }
  // How many rows of a tile stay in the nearest cache; all where they go to the output.
  std::size_t rows(std::size_t columns) const {
    constexpr std::size_t kNear = std::size_t{16} << 10;
    return rounding_ ? std::max<std::size_t>(kNear / (columns * sizeof(float)), 1) : SIZE_MAX;
  }

  // `rows` rows of `columns` results each, `stride` bytes apart, in place.
  void run(std::byte* at, std::size_t rows, std::size_t columns, std::size_t stride) const {
    if (columns * sizeof(float) == stride) columns *= rows, rows = 1;
    for (const RealFunction& function : functions_) {
      kernels::UnaryF32Args args = function.args;
      args.n = columns;
      for (std::size_t row = 0; row < rows; ++row) {
        args.x = args.y = reinterpret_cast<float*>(at + row * stride);
        function.kernel->run(args);
      }
    }
  }

  // A tile to bytes of the output, from byte `place` on.
  void store(const std::byte* tile, std::size_t rows, std::size_t columns, std::byte* output, std::size_t place,
             std::size_t stride) const {
    rounding_->run(reinterpret_cast<const float*>(tile), rows, place % rounding_->columns(), columns,
                   reinterpret_cast<std::uint8_t*>(output) + place, stride);
  }

 private:
  // A product and the sum after it are one function: neither 0 added nor 1 multiplied with has rounded anything.
  static bool join(kernels::UnaryF32Args& product, const kernels::UnaryF32Args& sum) {
    constexpr auto kAffine = kernels::UnaryF32Op::affine;
    if (product.op != kAffine || sum.op != kAffine || sum.p != 1) return false;
    if (product.q != 0 || !std::signbit(product.q)) return false;
    product.q = sum.q;
    return true;
  }

  std::vector<RealFunction> functions_;
  std::optional<ByteRounding> rounding_;
};

}  // namespace quaver
