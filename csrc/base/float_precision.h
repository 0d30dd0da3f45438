// In what precision products of floats multiply: a choice at load.
#pragma once

#include <cstdint>
#include <string_view>

namespace quaver {

enum class FloatPrecision : std::uint8_t {
  fp32,
  bf16,  // operands rounded to 8 bits of fraction, sums in fp32 (kernels/gemm/gemm_bf16.h)
};

// "fp32" or "bf16". Throws Error(invalid_input) for anything else.
FloatPrecision float_precision_of(std::string_view name);
const char* name_of(FloatPrecision precision) noexcept;

}  // namespace quaver
