// The scales and zero points of QuantizeLinear and DequantizeLinear, and the rows along which they are one.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "ops/op.h"

namespace quaver {

// One scale for all (its value and zero point may be computed at run time), or constant ones along an axis.
class Scales {
 public:
  // Input 1 holds the scales, input 2 the zero points, if any; `quantized` is the integer side, which has `shape`.
  Scales(const LowerContext& context, DType quantized, const Dims& shape);

  // Whether one scale is for all.
  bool one() const { return channels_ == 1 && step_ == 0; }
  // Elements fall into rows of `row` (the last may be shorter), each under one scale: that of row r % channels.
  // Where the axis is the last one a row is all channels, and its elements have a scale each (step 1).
  std::size_t rows() const { return rows_; }
  std::size_t row() const { return row_; }
  std::size_t step() const { return step_; }
  // Bytes of s8 become u8 by this xor, with their zero points moved by 128.
  std::uint8_t flip() const { return flip_; }
  // The scales and zero points, where they are constants and rows need no others: one for all, or one an element.
  std::optional<ByteRounding> rounding(const LowerContext& context) const;

  struct Row {
    std::size_t begin, n;
    const float* scale;
    const std::int32_t* zero_point;
  };
  // Calls visit(Row) for the rows [first, last).
  template <class Visit>
  void each_row(const RunContext& context, std::size_t first, std::size_t last, Visit visit) const {
    const float* scale = context.as<const float>(scale_);
    const std::int32_t one = zero_points_.empty() ? zero_at_run_time(context) : 0;
    const std::int32_t* zero = zero_points_.empty() ? &one : zero_points_.data();
    for (std::size_t r = first; r < last; ++r) {
      const std::size_t c = r % channels_, begin = r * row_;
      visit(Row{begin, begin + row_ < elements_ ? row_ : elements_ - begin, scale + c, zero + c});
    }
  }

 private:
  void take_axis(const LowerContext& context, const Dims& shape);
  void take_zero_points(const LowerContext& context);
  std::int32_t zero_at_run_time(const RunContext& context) const;

  DType quantized_;
  ValueId scale_, zero_ = kNone;
  std::vector<std::int32_t> zero_points_;  // empty where they are computed at run time
  std::size_t elements_, rows_, row_, channels_ = 1, step_ = 0;
  std::uint8_t flip_;
};

}  // namespace quaver
