#include "kernels/elementwise/binary.h"
#include "ops/broadcast_step.h"
#include "ops/requantize.h"

namespace quaver {
namespace {

// A quantized constant's reals, one scale for all or one along an axis.
template <class T>
std::vector<float> reals(const LowerContext& context, std::size_t i) {
  const Value& value = context.input(i);
  const Quant& quant = *value.quant;
  const std::size_t inner = quant.per_tensor() ? 1 : static_cast<std::size_t>(strides_of(value.shape).at(quant.axis));
  std::vector<float> out;
  for (const T q : context.constant<T>(i)) {
    const std::size_t c = out.size() / inner % quant.scale.size();
    out.push_back(static_cast<float>(q - quant.zero_point[c]) * quant.scale[c]);
  }
  return out;
}

std::vector<float> slope_of(const LowerContext& context) {
  const Value& slope = context.input(1);
  if (slope.dtype == DType::f32) return {};  // used where it is
  if (slope.quant && slope.dtype == DType::u8) return reals<std::uint8_t>(context, 1);
  if (slope.quant && slope.dtype == DType::s8) return reals<std::int8_t>(context, 1);
  context.fail("its slope '", slope.name, "' is ", name_of(slope.dtype),
               "; float32 or a quantized constant can be used");
}

}  // namespace

std::unique_ptr<Step> lower_PRelu(LowerContext& context) {
  const Value &x = context.input(0), &y = context.output();
  if (is_quantized(x) && is_quantized(y)) {
    kernels::PreluU8Args args;
    args.a_zero = context.zero_point(x);
    args.zero = context.zero_point(y);
    args.ka = static_cast<float>(static_cast<double>(context.scale(x)) / context.scale(y));
    const auto& kernel = kernels::pick_prelu_u8(context.isa);
    return std::make_unique<BroadcastStep<kernels::PreluU8Args>>(context, kernel, args, slope_of(context));
  }
  if (x.dtype != DType::f32 || y.dtype != DType::f32) {
    context.fail("from ", name_of(x.dtype), " to ", name_of(y.dtype), "; float32 or quantized uint8 can be used");
  }
  kernels::BinaryF32Args args;
  args.op = kernels::BinaryF32Op::prelu;
  const auto& kernel = kernels::pick_binary_f32(context.isa);
  return std::make_unique<BroadcastStep<kernels::BinaryF32Args>>(context, kernel, args, slope_of(context));
}

}  // namespace quaver
