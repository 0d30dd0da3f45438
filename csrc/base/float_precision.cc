#include "base/float_precision.h"

#include "base/error.h"

namespace quaver {

FloatPrecision float_precision_of(std::string_view name) {
  for (const FloatPrecision precision : {FloatPrecision::fp32, FloatPrecision::bf16}) {
    if (name == name_of(precision)) return precision;
  }
  fail(Status::invalid_input, "float_precision=", name, ": no such precision; expected fp32 or bf16");
}

const char* name_of(FloatPrecision precision) noexcept { return precision == FloatPrecision::bf16 ? "bf16" : "fp32"; }

}  // namespace quaver
