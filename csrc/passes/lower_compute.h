// A computing node between DequantizeLinear and QuantizeLinear, brought to work on the quantized values.
#pragma once

#include <string>

#include "passes/rewrite.h"
#include "passes/same_shape.h"

namespace quaver {

// Rewrites node `id`; where it has to stay in float, changes nothing and says why.
std::string lower_compute(Editor& edit, NodeId id, const SameShape& same_shape);

}  // namespace quaver
