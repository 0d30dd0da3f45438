// For each output coordinate of one resized dimension: which input coordinates it takes, and with what weights.
#pragma once

#include <string>
#include <vector>

#include "ops/op.h"

namespace quaver {

// Resize's attributes, checked.
struct ResizeMode {
  enum class Interpolation { nearest, linear, cubic } interpolation;
  std::string coordinates;  // coordinate_transformation_mode
  std::string nearest;      // nearest_mode
  float cubic_a;
  bool exclude_outside;

  explicit ResizeMode(const LowerContext& context);
  std::size_t taps() const { return interpolation == Interpolation::cubic ? 4 : 2; }
};

// One resized dimension.
struct ResizeAxis {
  std::int64_t in, out;
  float scale;

  bool identity() const { return in == out && scale == 1.0F; }
};

struct ResizeTable {
  std::vector<std::int64_t> index;  // [out][taps], within the input
  std::vector<float> weight;        // [out][taps]
};

// For nearest: one index an output, no weights.
std::vector<std::int64_t> nearest_table(const ResizeMode& mode, const ResizeAxis& axis);
// For linear and cubic: mode.taps() an output.
ResizeTable weight_table(const ResizeMode& mode, const ResizeAxis& axis);

}  // namespace quaver
