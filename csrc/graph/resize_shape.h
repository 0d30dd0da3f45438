// Resize's output shape and scales, as pure functions of its inputs and attributes.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/dims.h"
#include "graph/attrs.h"

namespace quaver {

struct ResizeShape {
  Dims out;
  std::vector<float> scales;  // per dimension of the input; 0 where the input's or output's size is dynamic
};

// From `scales` or `sizes`, one of which is given: per dimension, or per entry of the attribute `axes`; in the layout
// of `in`. Heeds keep_aspect_ratio_policy. Throws Error(invalid_model).
ResizeShape resolve_resize(const Dims& in, const Attrs& attrs, const std::optional<std::vector<float>>& scales,
                           const std::optional<std::vector<std::int64_t>>& sizes);

// As above, the shape alone; all resized dimensions dynamic where neither scales nor sizes are known.
Dims resize_output(const Dims& in, const Attrs& attrs, const std::optional<std::vector<float>>& scales,
                   const std::optional<std::vector<std::int64_t>>& sizes);

}  // namespace quaver
