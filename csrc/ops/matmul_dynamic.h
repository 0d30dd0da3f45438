#pragma once

#include "ops/matmul_shape.h"

namespace quaver {

// A MatMul or MatMulInteger whose right-hand side is computed at run time or differs by batch: packed in scratch.
std::unique_ptr<Step> lower_matmul_dynamic(LowerContext& context, const MatMulShape& shape);

}  // namespace quaver
