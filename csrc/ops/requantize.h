// Reals in bytes: where operators that only move or compare them meet two quantizations.
#pragma once

#include <array>
#include <cmath>
#include <optional>

#include "ops/op.h"

namespace quaver {

using ByteTable = std::array<std::uint8_t, 256>;

// An output's scale, zero point and the bounds of what is rounded to it.
struct ByteOutput {
  float scale;
  std::int32_t zero;
  float lo, hi;

  ByteOutput(const LowerContext& context, const Value& value)
      : scale(context.scale(value)),
        zero(context.zero_point(value)),
        lo(static_cast<float>(-zero)),
        hi(static_cast<float>(255 - zero)) {}

  // rne(min(max(y, lo), hi)) + zero
  std::uint8_t operator()(float y) const {
    return static_cast<std::uint8_t>(static_cast<std::int32_t>(std::nearbyint(std::fmin(std::fmax(y, lo), hi))) + zero);
  }
};

inline bool is_quantized(const Value& value) { return value.dtype == DType::u8 && value.quant.has_value(); }

// y = rne(clamp(float(x − x_zero) · x_scale / y_scale)) + y_zero; nothing where both are quantized alike, or neither
// is.
inline std::optional<ByteTable> requantize_table(const LowerContext& context, const Value& x, const Value& y) {
  if (x.dtype != y.dtype) context.fail("'", x.name, "' is ", name_of(x.dtype), ", '", y.name, "' ", name_of(y.dtype));
  if (x.quant.has_value() != y.quant.has_value()) {
    context.fail("only one of '", x.name, "' and '", y.name, "' is quantized");
  }
  if (!x.quant || *x.quant == *y.quant) return std::nullopt;
  if (x.dtype != DType::u8) context.fail("'", x.name, "' and '", y.name, "' are quantized differently");
  const float mul = static_cast<float>(static_cast<double>(context.scale(x)) / context.scale(y));
  const ByteOutput out(context, y);
  ByteTable table;
  for (int q = 0; q < 256; ++q) {
    table[static_cast<std::size_t>(q)] = out(static_cast<float>(q - context.zero_point(x)) * mul);
  }
  return table;
}

}  // namespace quaver
