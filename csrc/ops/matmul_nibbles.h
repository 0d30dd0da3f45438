// Products of floats and constant weights of four bits: MatMulIntegerToFloat with blocks.
#pragma once

#include "ops/op.h"

namespace quaver {

std::unique_ptr<Step> lower_matmul_nibbles(LowerContext& context);

}  // namespace quaver
