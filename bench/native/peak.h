// This machine's measured peak: what multiply-accumulate instructions give with all operands in registers.
#pragma once

#include "isa/isa.h"

namespace quaver::bench {

// Multiply-accumulates a second on one thread, with the instructions that the int8 (`u8`) or fp32 kernels of this
// instruction set use; 0 where none is known.
double peak_u8(Isa isa);
double peak_f32(Isa isa);

}  // namespace quaver::bench
