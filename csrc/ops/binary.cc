// Arithmetic, with a fused clamp, the greater and lesser, bits, truths, and comparisons.
#include <limits>

#include "kernels/elementwise/binary.h"
#include "ops/broadcast_step.h"
#include "ops/epilogue.h"
#include "ops/integers.h"
#include "ops/requantize.h"
#include "ops/unary_step.h"
#include "ops/wide_functions.h"

namespace quaver {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

kernels::BinaryF32Op f32_op(Op op) {
  switch (op) {
    case Op::Add: return kernels::BinaryF32Op::add;
    case Op::Sub: return kernels::BinaryF32Op::sub;
    case Op::Mul: return kernels::BinaryF32Op::mul;
    case Op::Max: return kernels::BinaryF32Op::max;
    case Op::Min: return kernels::BinaryF32Op::min;
    default: return kernels::BinaryF32Op::div;
  }
}

kernels::IntegerOp integer_op(Op op) {
  switch (op) {
    case Op::Add: return kernels::IntegerOp::add;
    case Op::Sub: return kernels::IntegerOp::sub;
    case Op::Mul: return kernels::IntegerOp::mul;
    case Op::Max: return kernels::IntegerOp::max;
    case Op::Min: return kernels::IntegerOp::min;
    case Op::And:
    case Op::BitwiseAnd: return kernels::IntegerOp::bit_and;
    case Op::Or:
    case Op::BitwiseOr: return kernels::IntegerOp::bit_or;
    case Op::Xor:
    case Op::BitwiseXor: return kernels::IntegerOp::bit_xor;
    default: return kernels::IntegerOp::div;
  }
}

// A sum, difference or product with one constant number, which is a function of the other operand; else null.
std::unique_ptr<Step> lower_affine(const LowerContext& context) {
  const Op op = context.node.op;
  if (op == Op::Div || !context.node.attrs.items().empty()) return nullptr;
  for (const std::size_t side : {1, 0}) {
    const Value& number = context.input(side);
    if (!number.constant() || count(number.shape) != 1) continue;
    if (context.input(1 - side).shape != context.output().shape) continue;
    const double c = number.data->as<float>()[0];
    const bool minus = op == Op::Sub && side == 0;  // c − x
    const double p = op == Op::Mul ? c : minus ? -1.0 : 1.0;
    const double q = op == Op::Mul ? -0.0 : op == Op::Sub && !minus ? -c : c;  // −0 leaves what it is added to
    return std::make_unique<UnaryF32Step>(context, context.in(1 - side), kernels::UnaryF32Op::affine, p, q);
  }
  return nullptr;
}

std::unique_ptr<Step> lower_f32(LowerContext& context) {
  if (context.node.op != Op::Max && context.node.op != Op::Min) {
    if (auto step = lower_affine(context)) return step;
  }
  kernels::BinaryF32Args args;
  args.op = f32_op(context.node.op);
  args.lo = static_cast<float>(context.node.attrs.f("lo", -kInfinity));
  args.hi = static_cast<float>(context.node.attrs.f("hi", kInfinity));
  return std::make_unique<BroadcastStep<kernels::BinaryF32Args>>(context, kernels::pick_binary_f32(context.isa), args);
}

// The multipliers of binary_u8's formulas, each rounded once.
void set_multipliers(Op op, double a, double b, double y, kernels::BinaryU8Args& args) {
  switch (op) {
    case Op::Add:
    case Op::Sub:
      args.op = kernels::BinaryU8Op::add;
      args.ka = static_cast<float>(a / y);
      args.kb = static_cast<float>(op == Op::Add ? b / y : -b / y);
      return;
    case Op::Mul:
      args.op = kernels::BinaryU8Op::mul;
      args.ka = static_cast<float>(a * b / y);
      return;
    default:
      args.op = kernels::BinaryU8Op::div;
      args.ka = static_cast<float>(a);
      args.kb = static_cast<float>(b);
      args.ky = static_cast<float>(y);
  }
}

std::unique_ptr<Step> lower_u8(LowerContext& context) {
  const Value &a = context.input(0), &b = context.input(1), &y = context.output();
  kernels::BinaryU8Args args;
  set_multipliers(context.node.op, context.scale(a), context.scale(b), context.scale(y), args);
  args.a_zero = context.zero_point(a);
  args.b_zero = context.zero_point(b);
  args.zero = context.zero_point(y);
  const ClampU8 clamp(context.node.attrs, context.scale(y), args.zero);
  args.lo = static_cast<std::int32_t>(clamp.lo) + args.zero;
  args.hi = static_cast<std::int32_t>(clamp.hi) + args.zero;
  return std::make_unique<BroadcastStep<kernels::BinaryU8Args>>(context, kernels::pick_binary_u8(context.isa), args);
}

template <class T>
std::unique_ptr<Step> lower_integer(LowerContext& context) {
  kernels::IntegerArgs<T> args;
  args.op = integer_op(context.node.op);
  args.lo = saturate<T>(context.node.attrs.f("lo", -kInfinity));
  args.hi = saturate<T>(context.node.attrs.f("hi", kInfinity));
  return std::make_unique<BroadcastStep<kernels::IntegerArgs<T>>>(context, kernels::pick_integer<T>(context.isa), args);
}

std::unique_ptr<Step> lower_binary(LowerContext& context) {
  const Value &a = context.input(0), &b = context.input(1), &y = context.output();
  if (is_quantized(a) && is_quantized(b) && is_quantized(y)) return lower_u8(context);
  if (a.dtype == y.dtype && b.dtype == y.dtype) {
    if (y.dtype == DType::f32) return lower_f32(context);
    if (y.dtype == DType::i32) return lower_integer<std::int32_t>(context);
    if (y.dtype == DType::i64) return lower_integer<std::int64_t>(context);
  }
  const bool plain = !a.quant && !b.quant && !y.quant && !context.node.attrs.has("lo") && !context.node.attrs.has("hi");
  if (plain && a.dtype == y.dtype && b.dtype == y.dtype) return lower_wide_binary(context);
  context.fail("there is no ", name_of(a.dtype), " with ", name_of(b.dtype), " to ", name_of(y.dtype),
               "; one type can be used, the same on all sides, or quantized uint8");
}

// The greater or lesser of two, and what is done to their bits.
std::unique_ptr<Step> lower_chosen(LowerContext& context) {
  const DType dtype = context.input(0).dtype;
  if (dtype != context.input(1).dtype) return lower_wide_binary(context);
  switch (dtype) {
    case DType::f32: return lower_f32(context);
    case DType::i32: return lower_integer<std::int32_t>(context);
    case DType::i64: return lower_integer<std::int64_t>(context);
    default: return lower_wide_binary(context);
  }
}

// Of truths, which are 0 or 1.
std::unique_ptr<Step> lower_logic(LowerContext& context) {
  for (std::size_t i = 0; i < 2; ++i) {
    if (context.input(i).dtype != DType::boolean) return lower_wide_binary(context);
  }
  return lower_integer<std::uint8_t>(context);
}

template <class T>
std::unique_ptr<Step> lower_compared(LowerContext& context) {
  kernels::CompareArgs<T> args;
  switch (context.node.op) {
    case Op::Equal: args.op = kernels::CompareOp::equal; break;
    case Op::Less: args.op = kernels::CompareOp::less; break;
    case Op::LessOrEqual: args.op = kernels::CompareOp::less_equal; break;
    case Op::Greater: args.op = kernels::CompareOp::greater; break;
    default: args.op = kernels::CompareOp::greater_equal;
  }
  return std::make_unique<BroadcastStep<kernels::CompareArgs<T>>>(context, kernels::pick_compare<T>(context.isa), args);
}

std::unique_ptr<Step> lower_compare(LowerContext& context) {
  const DType a = context.input(0).dtype, b = context.input(1).dtype;
  if (a != b) context.fail("it compares ", name_of(a), " with ", name_of(b));
  switch (a) {
    case DType::f32: return lower_compared<float>(context);
    case DType::i32: return lower_compared<std::int32_t>(context);
    case DType::i64: return lower_compared<std::int64_t>(context);
    case DType::u8:
    case DType::boolean: return lower_compared<std::uint8_t>(context);
    default: return lower_wide_compare(context);
  }
}

}  // namespace

std::unique_ptr<Step> lower_Max(LowerContext& context) { return lower_chosen(context); }
std::unique_ptr<Step> lower_Min(LowerContext& context) { return lower_chosen(context); }
std::unique_ptr<Step> lower_BitwiseAnd(LowerContext& context) { return lower_chosen(context); }
std::unique_ptr<Step> lower_BitwiseOr(LowerContext& context) { return lower_chosen(context); }
std::unique_ptr<Step> lower_BitwiseXor(LowerContext& context) { return lower_chosen(context); }
std::unique_ptr<Step> lower_And(LowerContext& context) { return lower_logic(context); }
std::unique_ptr<Step> lower_Or(LowerContext& context) { return lower_logic(context); }
std::unique_ptr<Step> lower_Xor(LowerContext& context) { return lower_logic(context); }
std::unique_ptr<Step> lower_Equal(LowerContext& context) { return lower_compare(context); }
std::unique_ptr<Step> lower_Less(LowerContext& context) { return lower_compare(context); }
std::unique_ptr<Step> lower_LessOrEqual(LowerContext& context) { return lower_compare(context); }
std::unique_ptr<Step> lower_Greater(LowerContext& context) { return lower_compare(context); }
std::unique_ptr<Step> lower_GreaterOrEqual(LowerContext& context) { return lower_compare(context); }
std::unique_ptr<Step> lower_Add(LowerContext& context) { return lower_binary(context); }
std::unique_ptr<Step> lower_Sub(LowerContext& context) { return lower_binary(context); }
std::unique_ptr<Step> lower_Mul(LowerContext& context) { return lower_binary(context); }
std::unique_ptr<Step> lower_Div(LowerContext& context) { return lower_binary(context); }

}  // namespace quaver
