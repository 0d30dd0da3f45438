// Affine quantization: real = scale · (stored − zero_point), per tensor or along one axis.
#pragma once

#include <cstdint>
#include <vector>

namespace quaver {

struct Quant {
  std::vector<float> scale;              // one, or one per index along `axis`
  std::vector<std::int32_t> zero_point;  // as many as scales
  std::int64_t axis = -1;                // -1: per tensor

  bool per_tensor() const noexcept { return scale.size() == 1; }
  friend bool operator==(const Quant&, const Quant&) = default;
};

}  // namespace quaver
