// Functions of one number: by a kernel in fp32, by a table on quantized values, and the few that integers have.
#include <limits>

#include "ops/integers.h"
#include "ops/requantize.h"
#include "ops/table_step.h"
#include "ops/unary_step.h"
#include "ops/wide_functions.h"

namespace quaver {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Clip, Abs, Neg and Sign, which are all that ONNX has of these for integers.
template <class T>
std::unique_ptr<Step> lower_integer(LowerContext& context) {
  const auto step = [&](kernels::IntegerOp op, int number, auto... bounds) {
    return std::make_unique<IntegerStep<T>>(context, op, static_cast<T>(number), bounds...);
  };
  const Attrs& attrs = context.node.attrs;
  switch (context.node.op) {
    case Op::Clip:
      return step(kernels::IntegerOp::add, 0, saturate<T>(attrs.f("lo", -kInfinity)),
                  saturate<T>(attrs.f("hi", kInfinity)));
    case Op::Abs: return step(kernels::IntegerOp::distance, 0);
    case Op::Sign: return step(kernels::IntegerOp::add, 0, static_cast<T>(-1), T{1});
    default: return step(kernels::IntegerOp::mul, -1);
  }
}

std::unique_ptr<Step> lower_unary(LowerContext& context, kernels::UnaryF32Op op, double p = 0, double q = 0) {
  const Value &x = context.input(0), &y = context.output();
  const Node& node = context.node;
  if (is_quantized(x) && is_quantized(y)) {
    const auto f = [&](double real) { return eval_unary(node.op, node.attrs, real); };
    return std::make_unique<TableStep>(context, unary_table(f, *x.quant, *y.quant));
  }
  if (x.dtype == y.dtype && x.quant.has_value() == y.quant.has_value()) {
    const bool integer = node.op == Op::Clip || node.op == Op::Abs || node.op == Op::Neg || node.op == Op::Sign;
    if (x.dtype == DType::f32) return std::make_unique<UnaryF32Step>(context, context.in(0), op, p, q);
    if (integer && x.dtype == DType::i32) return lower_integer<std::int32_t>(context);
    if (integer && x.dtype == DType::i64) return lower_integer<std::int64_t>(context);
    if (node.op == Op::Clip && x.dtype == DType::u8) return lower_integer<std::uint8_t>(context);
    if (node.op == Op::Clip && x.dtype == DType::s8 && !x.quant) return lower_integer<std::int8_t>(context);
  }
  return lower_wide_unary(context);
}

}  // namespace

using enum kernels::UnaryF32Op;

std::unique_ptr<Step> lower_Clip(LowerContext& context) {
  const Attrs& attrs = context.node.attrs;
  return lower_unary(context, clip, attrs.f("lo", -kInfinity), attrs.f("hi", kInfinity));
}

std::unique_ptr<Step> lower_HardSigmoid(LowerContext& context) {
  const Attrs& attrs = context.node.attrs;
  return lower_unary(context, hard_sigmoid, attrs.f("alpha", 0.2), attrs.f("beta", 0.5));
}

std::unique_ptr<Step> lower_LeakyRelu(LowerContext& context) {
  return lower_unary(context, leaky_relu, context.node.attrs.f("alpha", 0.01));
}

std::unique_ptr<Step> lower_Gelu(LowerContext& context) {
  return lower_unary(context, context.node.attrs.s("approximate", "none") == "tanh" ? gelu_tanh : gelu);
}

std::unique_ptr<Step> lower_Swish(LowerContext& context) {
  return lower_unary(context, swish, context.node.attrs.f("alpha", 1.0));
}

std::unique_ptr<Step> lower_Elu(LowerContext& context) {
  return lower_unary(context, elu, context.node.attrs.f("alpha", 1.0), 1.0);
}

std::unique_ptr<Step> lower_Celu(LowerContext& context) {
  const double alpha = context.node.attrs.f("alpha", 1.0);
  return lower_unary(context, elu, alpha, 1 / alpha);
}

std::unique_ptr<Step> lower_Selu(LowerContext& context) {
  const Attrs& attrs = context.node.attrs;
  return lower_unary(context, selu, attrs.f("alpha", 1.67326319217681884765625),
                     attrs.f("gamma", 1.05070102214813232421875));
}

std::unique_ptr<Step> lower_ThresholdedRelu(LowerContext& context) {
  return lower_unary(context, threshold, context.node.attrs.f("alpha", 1.0));
}

std::unique_ptr<Step> lower_Shrink(LowerContext& context) {
  const Attrs& attrs = context.node.attrs;
  return lower_unary(context, shrink, attrs.f("lambd", 0.5), attrs.f("bias", 0));
}

std::unique_ptr<Step> lower_HardSwish(LowerContext& context) { return lower_unary(context, hard_swish); }
std::unique_ptr<Step> lower_Sigmoid(LowerContext& context) { return lower_unary(context, sigmoid); }
std::unique_ptr<Step> lower_Tanh(LowerContext& context) { return lower_unary(context, tanh); }
std::unique_ptr<Step> lower_Exp(LowerContext& context) { return lower_unary(context, exp); }
std::unique_ptr<Step> lower_Sqrt(LowerContext& context) { return lower_unary(context, sqrt); }
std::unique_ptr<Step> lower_Abs(LowerContext& context) { return lower_unary(context, abs); }
std::unique_ptr<Step> lower_Neg(LowerContext& context) { return lower_unary(context, neg); }
std::unique_ptr<Step> lower_Erf(LowerContext& context) { return lower_unary(context, erf); }
std::unique_ptr<Step> lower_Log(LowerContext& context) { return lower_unary(context, log); }
std::unique_ptr<Step> lower_Sin(LowerContext& context) { return lower_unary(context, sin); }
std::unique_ptr<Step> lower_Cos(LowerContext& context) { return lower_unary(context, cos); }
std::unique_ptr<Step> lower_Tan(LowerContext& context) { return lower_unary(context, tan); }
std::unique_ptr<Step> lower_Asin(LowerContext& context) { return lower_unary(context, asin); }
std::unique_ptr<Step> lower_Acos(LowerContext& context) { return lower_unary(context, acos); }
std::unique_ptr<Step> lower_Atan(LowerContext& context) { return lower_unary(context, atan); }
std::unique_ptr<Step> lower_Sinh(LowerContext& context) { return lower_unary(context, sinh); }
std::unique_ptr<Step> lower_Cosh(LowerContext& context) { return lower_unary(context, cosh); }
std::unique_ptr<Step> lower_Asinh(LowerContext& context) { return lower_unary(context, asinh); }
std::unique_ptr<Step> lower_Acosh(LowerContext& context) { return lower_unary(context, acosh); }
std::unique_ptr<Step> lower_Atanh(LowerContext& context) { return lower_unary(context, atanh); }
std::unique_ptr<Step> lower_Softplus(LowerContext& context) { return lower_unary(context, softplus); }
std::unique_ptr<Step> lower_Mish(LowerContext& context) { return lower_unary(context, mish); }
std::unique_ptr<Step> lower_Softsign(LowerContext& context) { return lower_unary(context, softsign); }
std::unique_ptr<Step> lower_Reciprocal(LowerContext& context) { return lower_unary(context, reciprocal); }
std::unique_ptr<Step> lower_Sign(LowerContext& context) { return lower_unary(context, sign); }
std::unique_ptr<Step> lower_Floor(LowerContext& context) { return lower_unary(context, floor); }
std::unique_ptr<Step> lower_Ceil(LowerContext& context) { return lower_unary(context, ceil); }
std::unique_ptr<Step> lower_Round(LowerContext& context) { return lower_unary(context, round); }

}  // namespace quaver
