// Elementwise operators of any element type, where no kernel takes the types at hand.
#pragma once

#include "ops/wide_step.h"

namespace quaver {

// A function that graph/unary.h knows.
std::unique_ptr<Step> lower_wide_unary(LowerContext& context);
// Add, Sub, Mul, Div, PRelu, Pow, Mod, Min, Max, And, Or, Xor, Bitwise* and BitShift.
std::unique_ptr<Step> lower_wide_binary(LowerContext& context);
// Equal, Less, LessOrEqual, Greater and GreaterOrEqual.
std::unique_ptr<Step> lower_wide_compare(LowerContext& context);

}  // namespace quaver
