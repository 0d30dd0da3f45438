// This machine's measured peak, the yardstick of `quaver inspect --profile` and of the benchmarks. Each number is
// measured when it is first asked for, in a few hundredths of a second on one thread, and remembered.
#pragma once

#include <cstddef>

#include "isa/isa.h"

namespace quaver {

// Multiply-accumulates a second with all operands in registers, with the instructions that the int8 (`u8`) or
// float kernels of this instruction set use (for avx512bf16 and amx the dot product of bf16); 0 where none is known.
double peak_u8(Isa isa);
double peak_f32(Isa isa);

// Bytes read and written a second where a block is copied and both blocks together take `bytes`, rounded up to a power
// of two: what the cache level that holds them gives, or the memory.
double peak_copy(std::size_t bytes);

}  // namespace quaver
