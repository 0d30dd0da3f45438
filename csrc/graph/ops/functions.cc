// Functions of one element or two, beside those that have kernels.
#include "graph/ops/common.h"

namespace quaver {
namespace {

constexpr AttrSpec kAlpha[] = {{"alpha", AttrKind::f}};
constexpr AttrSpec kSelu[] = {{"alpha", AttrKind::f}, {"gamma", AttrKind::f}};
constexpr AttrSpec kShrink[] = {{"bias", AttrKind::f}, {"lambd", AttrKind::f}};
constexpr AttrSpec kGelu[] = {{"approximate", AttrKind::s}};
constexpr AttrSpec kIsInf[] = {{"detect_negative", AttrKind::i}, {"detect_positive", AttrKind::i}};
constexpr AttrSpec kMod[] = {{"fmod", AttrKind::i}};
constexpr AttrSpec kBitShift[] = {{"direction", AttrKind::s}};

void infer_real(InferContext& c) { output_same_shape(c, c.real_dtype()); }
void infer_test(InferContext& c) { output_same_shape(c, DType::boolean); }
void infer_same(InferContext& c) { output_same_shape(c, c.input(0).dtype); }

void infer_not(InferContext& c) {
  expect_dtype(c, 0, {DType::boolean});
  infer_same(c);
}

void broadcast_to(InferContext& c, DType dtype) {
  if (c.ranked(0) && c.ranked(1)) {
    c.output(0, dtype, broadcast(c.input(0).shape, c.input(1).shape));
  } else {
    c.output_unranked(0, dtype);
  }
}

void expect_alike(const InferContext& c) {
  if (c.input(0).dtype == c.input(1).dtype) return;
  c.fail("inputs '", c.input(0).name, "' and '", c.input(1).name, "' are ", name_of(c.input(0).dtype), " and ",
         name_of(c.input(1).dtype));
}

void infer_pow(InferContext& c) { broadcast_to(c, c.input(0).dtype); }

void infer_binary(InferContext& c) {
  expect_alike(c);
  broadcast_to(c, c.input(0).dtype);
}

void infer_compare(InferContext& c) {
  expect_alike(c);
  broadcast_to(c, DType::boolean);
}

void infer_logic(InferContext& c) {
  expect_dtype(c, 0, {DType::boolean});
  infer_compare(c);
}

void infer_shift(InferContext& c) {
  const std::string direction = c.attrs().s("direction");
  if (direction != "LEFT" && direction != "RIGHT") c.fail("direction is '", direction, "'; it may be LEFT or RIGHT");
  expect_dtype(c, 0, {DType::u8, DType::u16, DType::u32, DType::u64, DType::s8, DType::s16, DType::i32, DType::i64});
  infer_binary(c);
}

void infer_where(InferContext& c) {
  expect_dtype(c, 0, {DType::boolean});
  const Value &x = c.input(1), &y = c.input(2);
  if (x.dtype != y.dtype) c.fail("it chooses between ", name_of(x.dtype), " and ", name_of(y.dtype));
  if (!c.ranked(0) || !x.ranked || !y.ranked) return c.output_unranked(0, x.dtype);
  c.output(0, x.dtype, broadcast(c.input(0).shape, broadcast(x.shape, y.shape)));
}

}  // namespace

#define QUAVER_UNARY(name, attrs, infer) const OpSchema schema_##name{1, 1, 1, 1, attrs, infer};
QUAVER_UNARY(Sin, {}, infer_real)
QUAVER_UNARY(Cos, {}, infer_real)
QUAVER_UNARY(Tan, {}, infer_real)
QUAVER_UNARY(Asin, {}, infer_real)
QUAVER_UNARY(Acos, {}, infer_real)
QUAVER_UNARY(Atan, {}, infer_real)
QUAVER_UNARY(Sinh, {}, infer_real)
QUAVER_UNARY(Cosh, {}, infer_real)
QUAVER_UNARY(Asinh, {}, infer_real)
QUAVER_UNARY(Acosh, {}, infer_real)
QUAVER_UNARY(Atanh, {}, infer_real)
QUAVER_UNARY(Ceil, {}, infer_real)
QUAVER_UNARY(Floor, {}, infer_real)
QUAVER_UNARY(Round, {}, infer_real)
QUAVER_UNARY(Sign, {}, infer_real)
QUAVER_UNARY(Reciprocal, {}, infer_real)
QUAVER_UNARY(Log, {}, infer_real)
QUAVER_UNARY(Softplus, {}, infer_real)
QUAVER_UNARY(Softsign, {}, infer_real)
QUAVER_UNARY(Elu, kAlpha, infer_real)
QUAVER_UNARY(Selu, kSelu, infer_real)
QUAVER_UNARY(Celu, kAlpha, infer_real)
QUAVER_UNARY(ThresholdedRelu, kAlpha, infer_real)
QUAVER_UNARY(Shrink, kShrink, infer_real)
QUAVER_UNARY(Gelu, kGelu, infer_real)
QUAVER_UNARY(Mish, {}, infer_real)
QUAVER_UNARY(Swish, kAlpha, infer_real)
QUAVER_UNARY(IsNaN, {}, infer_test)
QUAVER_UNARY(IsInf, kIsInf, infer_test)
QUAVER_UNARY(Not, {}, infer_not)
QUAVER_UNARY(BitwiseNot, {}, infer_same)
#undef QUAVER_UNARY

const OpSchema schema_Pow{2, 2, 1, 1, {}, infer_pow};
const OpSchema schema_Mod{2, 2, 1, 1, kMod, infer_binary};
const OpSchema schema_Min{2, 2, 1, 1, {}, infer_binary};
const OpSchema schema_Max{2, 2, 1, 1, {}, infer_binary};
const OpSchema schema_BitwiseAnd{2, 2, 1, 1, {}, infer_binary};
const OpSchema schema_BitwiseOr{2, 2, 1, 1, {}, infer_binary};
const OpSchema schema_BitwiseXor{2, 2, 1, 1, {}, infer_binary};
const OpSchema schema_BitShift{2, 2, 1, 1, kBitShift, infer_shift};
const OpSchema schema_And{2, 2, 1, 1, {}, infer_logic};
const OpSchema schema_Or{2, 2, 1, 1, {}, infer_logic};
const OpSchema schema_Xor{2, 2, 1, 1, {}, infer_logic};
const OpSchema schema_Equal{2, 2, 1, 1, {}, infer_compare};
const OpSchema schema_Less{2, 2, 1, 1, {}, infer_compare};
const OpSchema schema_LessOrEqual{2, 2, 1, 1, {}, infer_compare};
const OpSchema schema_Greater{2, 2, 1, 1, {}, infer_compare};
const OpSchema schema_GreaterOrEqual{2, 2, 1, 1, {}, infer_compare};
const OpSchema schema_Where{3, 3, 1, 1, {}, infer_where};

}  // namespace quaver
