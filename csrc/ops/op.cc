#include "ops/op.h"

namespace quaver {

bool Step::absorb_table(std::span<const std::uint8_t>, IsaSet, ValueId) { return false; }
bool Step::absorb_lookup(std::span<const std::uint8_t>, ValueId, ValueId) { return false; }
const RealFunction* Step::function() const { return nullptr; }
bool Step::absorb_function(const RealFunction&, ValueId) { return false; }
const ByteRounding* Step::rounding() const { return nullptr; }
bool Step::absorb_rounding(const ByteRounding&, ValueId) { return false; }
ValueId Step::overwrites() const { return kNone; }

ValueId LowerContext::in(std::size_t i) const {
  if (!has_input(i)) fail("its input ", i, " is missing");
  return node.inputs[i];
}

namespace {

const Quant& per_tensor(const LowerContext& context, const Value& value) {
  if (!value.quant) context.fail("'", value.name, "' (", name_of(value.dtype), ") carries no scale and zero point");
  if (!value.quant->per_tensor()) context.fail("'", value.name, "' is quantized per channel; one scale is expected");
  return *value.quant;
}

}  // namespace

float LowerContext::scale(const Value& value) const { return per_tensor(*this, value).scale[0]; }

std::int32_t LowerContext::zero_point(const Value& value) const { return per_tensor(*this, value).zero_point[0]; }

void LowerContext::expect_constant(const Value& value) const {
  if (!value.constant()) fail("'", value.name, "' is computed at run time; a constant is expected there");
}

void LowerContext::fail_with(const std::string& what) const {
  throw Error(Status::unsupported, text(name_of(node.op), " '", node.name, "' cannot run: ", what));
}

}  // namespace quaver
