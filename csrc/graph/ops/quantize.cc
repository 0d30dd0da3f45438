// Between reals and quantized integers.
#include "graph/ops/common.h"

namespace quaver {
namespace {

constexpr AttrSpec kAxis[] = {{"axis", AttrKind::i}, {"to", AttrKind::i}};

// As one number may be given.
bool is_single(const Dims& shape) { return shape.empty() || shape == Dims{1}; }

// One scale, or one per index along `axis`; a zero point for each.
void check_parameters(const InferContext& c) {
  expect_dtype(c, 1, {DType::f32});
  if (!c.ranked(1)) return;
  const Dims& scale = c.input(1).shape;
  const bool other = c.ranked(2) && c.input(2).shape != scale && !(is_single(scale) && is_single(c.input(2).shape));
  if (other && is_static(scale) && is_static(c.input(2).shape)) {
    c.fail("the scale has shape ", to_string(scale), ", the zero point ", to_string(c.input(2).shape));
  }
  if (scale.size() > 1) c.fail("a scale of shape ", to_string(scale), "; expected a scalar or one per channel");
  if (scale.empty() || scale[0] == 1 || !c.ranked(0)) return;
  const Dims& shape = c.input(0).shape;
  const std::size_t axis = axis_of(c, "axis", 1, shape.size());
  if (contradicts(scale[0], shape[axis])) {
    c.fail(scale[0], " scales along axis ", axis, " of shape ", to_string(shape));
  }
}

void infer_quantize(InferContext& c) {
  check_parameters(c);
  const auto otherwise = static_cast<std::int64_t>(DType::u8);
  const std::int64_t to = c.has_input(2) ? static_cast<std::int64_t>(c.input(2).dtype) : c.attrs().i("to", otherwise);
  if (to < 0 || to >= kDTypeCount) c.fail("attribute 'to' = ", to, " is no dtype");
  output_same_shape(c, static_cast<DType>(to));
}

void infer_dequantize(InferContext& c) {
  check_parameters(c);
  if (c.has_input(2) && c.input(2).dtype != c.input(0).dtype) {
    c.fail("the input is ", name_of(c.input(0).dtype), ", its zero point ", name_of(c.input(2).dtype));
  }
  output_same_shape(c, DType::f32);
}

void infer_dynamic_quantize(InferContext& c) {
  expect_dtype(c, 0, {DType::f32});
  output_same_shape(c, DType::u8);
  c.output(1, DType::f32, {});
  c.output(2, DType::u8, {});
}

}  // namespace

const OpSchema schema_QuantizeLinear{2, 3, 1, 1, kAxis, infer_quantize};
const OpSchema schema_DequantizeLinear{2, 3, 1, 1, kAxis, infer_dequantize};
const OpSchema schema_DynamicQuantizeLinear{1, 1, 3, 3, {}, infer_dynamic_quantize};

}  // namespace quaver
