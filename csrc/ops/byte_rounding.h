// Floats to bytes by scales that are known: one for all, or one a column. A step applies it to its results while they
// are in the nearest cache, in place of a QuantizeLinear of its own (Step::absorb_rounding).
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <numeric>
#include <span>
#include <vector>

#include "kernels/quantize/quantize.h"

namespace quaver {

class ByteRounding {
 public:
  // Zero points as QuantizeArgs has them, as many as scales.
  ByteRounding(const kernels::QuantizeKernel& kernel, std::span<const float> scale, std::span<const std::int32_t> zero,
               std::uint8_t flip)
      : kernel_(&kernel), columns_(scale.size()), flip_(flip) {
    const auto plain = [](float s) { return s > 0x1p-100F && s < 0x1p100F; };
    const bool inverts = columns_ > 1 && std::ranges::all_of(scale, plain) &&
                         std::ranges::all_of(zero, [&](std::int32_t z) { return z == zero[0]; });
    scale_.assign(scale.begin(), scale.end());
    zero_.assign(zero.begin(), zero.end());
    if (inverts) std::ranges::transform(scale_, std::back_inserter(inverse_), [](float s) { return 1.0F / s; });
  }

  // The columns that have scales; 1 where one scale is for any.
  std::size_t columns() const { return columns_; }

  // `rows` dense rows of floats, of the `columns` from `first` on, to rows of bytes `stride` apart.
  void run(const float* x, std::size_t rows, std::size_t first, std::size_t columns, std::uint8_t* y,
           std::size_t stride) const {
    if (columns_ == 1 && stride == columns) columns *= rows, stride = columns, rows = 1;
    const std::size_t together = kBlock / std::gcd(columns, kBlock);
    if (rows > 1 && columns < kBlock && together * columns <= kMost) {
      return run_short(x, rows, first, columns, together, y, stride);
    }
    kernels::QuantizeArgs args = from(first);
    args.n = columns;
    for (std::size_t row = 0; row < rows; ++row) {
      args.x = x + row * columns;
      args.y = y + row * stride;
      kernel_->run(args);
    }
  }

 private:
  // Kernels work on blocks of so many bytes.
  static constexpr std::size_t kBlock = 64, kMost = 4 * kBlock;

  kernels::QuantizeArgs from(std::size_t column) const {
    const bool steps = columns_ > 1;
    kernels::QuantizeArgs args;
    args.scale = scale_.data() + (steps ? column : 0);
    args.zero_point = zero_.data() + (steps ? column : 0);
    args.step = steps;
    args.inverse = inverse_.empty() ? nullptr : inverse_.data() + column;
    args.flip = flip_;
    return args;
  }

  // So many rows `together` fill whole blocks.
  void run_short(const float* x, std::size_t rows, std::size_t first, std::size_t columns, std::size_t together,
                 std::uint8_t* y, std::size_t stride) const {
    float scale[kMost], inverse[kMost];
    std::int32_t zero[kMost];
    std::uint8_t bytes[kMost];
    kernels::QuantizeArgs args = from(first);
    const auto repeat = [&]<class T>(const T* from, T* to) {
      for (std::size_t row = 0; row < together; ++row) std::copy_n(from, columns, to + row * columns);
      return to;
    };
    if (args.step) args.scale = repeat(args.scale, scale), args.zero_point = repeat(args.zero_point, zero);
    if (args.inverse) args.inverse = repeat(args.inverse, inverse);
    for (std::size_t row = 0; row < rows; row += together) {
      const std::size_t count = std::min(together, rows - row);
      args.n = count * columns;
      args.x = x + row * columns;
      args.y = stride == columns ? y + row * stride : bytes;
      kernel_->run(args);
      if (stride == columns) continue;
      for (std::size_t i = 0; i < count; ++i) std::copy_n(bytes + i * columns, columns, y + (row + i) * stride);
    }
  }

  const kernels::QuantizeKernel* kernel_;
  std::size_t columns_;
  std::vector<float> scale_, inverse_;
  std::vector<std::int32_t> zero_;
  std::uint8_t flip_;
};

}  // namespace quaver
