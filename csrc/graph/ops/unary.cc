// One input, an output of the same shape.
#include "graph/ops/common.h"

namespace quaver {
namespace {

constexpr AttrSpec kClip[] = {{"lo", AttrKind::f}, {"hi", AttrKind::f}};
constexpr AttrSpec kHardSigmoid[] = {{"alpha", AttrKind::f}, {"beta", AttrKind::f}};
constexpr AttrSpec kLeakyRelu[] = {{"alpha", AttrKind::f}};
constexpr AttrSpec kSoftmax[] = {{"axis", AttrKind::i}};
constexpr AttrSpec kCast[] = {{"to", AttrKind::i}};

void infer_real(InferContext& c) { output_same_shape(c, c.real_dtype()); }

void infer_identity(InferContext& c) { output_same_shape(c, c.input(0).dtype); }

void infer_softmax(InferContext& c) {
  if (c.ranked(0)) axis_of(c, "axis", -1, c.input(0).shape.size());
  infer_real(c);
}

void infer_cast(InferContext& c) {
  const std::int64_t to = c.attrs().i("to", -1);
  if (to < 0 || to >= kDTypeCount) c.fail("attribute 'to' = ", to, " is no dtype");
  output_same_shape(c, static_cast<DType>(to));
}

void infer_table(InferContext& c) {
  expect_dtype(c, 0, {DType::u8});
  expect_dtype(c, 1, {DType::u8});
  if (c.ranked(1) && c.input(1).shape != Dims{256}) {
    c.fail("the table has shape ", to_string(c.input(1).shape), ", expected [256]");
  }
  output_same_shape(c, DType::u8);
}

void infer_flip_sign(InferContext& c) {
  expect_dtype(c, 0, {DType::u8, DType::s8});
  output_same_shape(c, c.input(0).dtype == DType::u8 ? DType::s8 : DType::u8);
}

}  // namespace

const OpSchema schema_Clip{1, 1, 1, 1, kClip, infer_real};
const OpSchema schema_Sigmoid{1, 1, 1, 1, {}, infer_real};
const OpSchema schema_HardSigmoid{1, 1, 1, 1, kHardSigmoid, infer_real};
const OpSchema schema_HardSwish{1, 1, 1, 1, {}, infer_real};
const OpSchema schema_LeakyRelu{1, 1, 1, 1, kLeakyRelu, infer_real};
const OpSchema schema_Tanh{1, 1, 1, 1, {}, infer_real};
const OpSchema schema_Exp{1, 1, 1, 1, {}, infer_real};
const OpSchema schema_Sqrt{1, 1, 1, 1, {}, infer_real};
const OpSchema schema_Abs{1, 1, 1, 1, {}, infer_real};
const OpSchema schema_Neg{1, 1, 1, 1, {}, infer_real};
const OpSchema schema_Erf{1, 1, 1, 1, {}, infer_real};
const OpSchema schema_Softmax{1, 1, 1, 1, kSoftmax, infer_softmax};
const OpSchema schema_Cast{1, 1, 1, 1, kCast, infer_cast};
const OpSchema schema_Identity{.min_inputs = 1,
                               .max_inputs = 1,
                               .min_outputs = 1,
                               .max_outputs = 1,
                               .attrs = {},
                               .infer = infer_identity,
                               .alias = true,
                               .moves = true};
const OpSchema schema_Table{2, 2, 1, 1, {}, infer_table};
const OpSchema schema_FlipSign{1, 1, 1, 1, {}, infer_flip_sign};

}  // namespace quaver
