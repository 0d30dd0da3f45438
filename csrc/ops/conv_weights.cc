#include "ops/conv_weights.h"

#include "ops/epilogue.h"

namespace quaver {

bool is_quantized(const LowerContext& context) {
  const DType x = context.input(0).dtype, w = context.input(1).dtype, y = context.output().dtype;
  if (x == DType::f32 && w == DType::f32 && y == DType::f32) return false;
  const bool sums = context.node.op == Op::MatMul || context.node.op == Op::Conv;
  if (x == DType::u8 && (w == DType::s8 || w == DType::u8) && (y == DType::u8 || (y == DType::f32 && sums)))
    return true;
  context.fail("no kernel takes ", name_of(x), " activations and ", name_of(w), " weights to ", name_of(y));
}

std::vector<float> requantize_scales(const WeightPlanes& weights, float scale_x, float scale_y) {
  std::vector<float> scales;
  for (const float scale_w : weights.scale) scales.push_back(scale_x * scale_w / scale_y);
  return scales;
}

namespace {

template <class Family>
void set_values(const LowerContext& context, const ConvGeometry& g, GemmStep<Family>& step) {
  step.args.k = g.depth();
  step.args.a_stride = g.c * g.element;
  step.x = context.in(0);
  step.y = context.out();
  if (context.has_input(kResidual)) step.residual = context.in(kResidual);
  step.images = g.images;
  step.x_image = g.h * g.w * g.c * g.element;
  step.y_image = g.pixels() * g.o * step.y_element;
}

}  // namespace

std::vector<const std::int8_t*> prepare(const LowerContext& context, const ConvGeometry& g, GemmStep<U8Gemm>& step,
                                        WeightPlanes& weights) {
  step.y_element = size_of(context.output().dtype);
  set_values(context, g, step);
  weights = weight_planes(context, context.input(1), g.o);
  const std::int32_t zero = context.zero_point(context.input(0));
  const auto bias = context.has_input(2) ? context.constant<std::int32_t>(2) : std::span<const std::int32_t>{};
  step.bias = pad_groups<std::int32_t>(fold_bias(weights, zero, bias), g.group, g.width());
  const float y_scale = set_epilogue_u8_or_f32(context, step.args);
  step.scale =
      pad_groups<float>(requantize_scales(weights, context.scale(context.input(0)), y_scale), g.group, g.width());
  step.pad.assign(g.depth(), static_cast<std::uint8_t>(zero));
  step.kernel = &kernels::pick_gemm_u8(context.isa, g.pixels(), g.width(), g.depth(), g.taps());
  return weights.planes;
}

template <class Family>
std::vector<const float*> prepare(const LowerContext& context, const ConvGeometry& g, GemmStep<Family>& step,
                                  WeightPlanes&) {
  set_values(context, g, step);
  step.bias.assign(g.group * pad_to_panel(g.width()), 0.0F);
  if (context.has_input(2)) step.bias = pad_groups<float>(context.constant<float>(2), g.group, g.width());
  step.pad.assign(g.depth(), 0);
  set_epilogue_f32(context, step.args);
  step.kernel = &Family::pick(context.isa, g.pixels(), g.width(), g.depth());
  return {context.constant<float>(1).data()};
}

template std::vector<const float*> prepare(const LowerContext&, const ConvGeometry&, GemmStep<F32Gemm>&, WeightPlanes&);
template std::vector<const float*> prepare(const LowerContext&, const ConvGeometry&, GemmStep<Bf16Gemm>&,
                                           WeightPlanes&);

std::vector<std::int32_t> integer_zero_points(const LowerContext& context, std::size_t i) {
  if (!context.has_input(i)) return {0};
  const Value& value = context.input(i);
  if (!value.constant()) context.fail("the zero point of its weight is computed at run time");
  const bool is_signed = value.dtype == DType::s8;
  std::vector<std::int32_t> zero;
  for (const std::byte b : value.data->as<std::byte>()) {
    zero.push_back(is_signed ? static_cast<std::int8_t>(b) : static_cast<std::uint8_t>(b));
  }
  return zero;
}

WeightPlanes integer_weights(const LowerContext& context, const Value& weight, std::size_t rows) {
  if (!weight.constant()) context.fail("its weight '", weight.name, "' is computed at run time");
  const std::vector<std::int32_t> zero = integer_zero_points(context, 3);
  if (zero.size() != 1 && zero.size() != rows) {
    context.fail("its weight has ", zero.size(), " zero points for ", rows, " output channels");
  }
  // The cache knows weights by address, and a product's have been transposed on the way.
  const bool as_stored = &weight == &context.input(1);
  return as_stored ? weight_planes(context.cache, weight, rows, zero, {1.0F})
                   : weight_planes(weight, rows, zero, {1.0F});
}

void set_integer_zero(const LowerContext& context, GemmStep<U8Gemm>& step, const WeightPlanes& weights,
                      std::size_t group, std::size_t width, std::size_t depth) {
  const Value* zero = context.has_input(2) ? &context.input(2) : nullptr;
  if (zero && zero->constant() && zero->data->size() != 1)
    context.fail("its activations have more than one zero point");
  const std::int32_t known = zero && zero->constant() ? static_cast<std::uint8_t>(zero->data->as<std::byte>()[0]) : 0;
  step.bias = pad_groups<std::int32_t>(fold_bias(weights, known, {}), group, width);
  step.pad.assign(depth, static_cast<std::uint8_t>(known));
  if (zero && !zero->constant()) {
    step.x_zero = context.in(2);
    std::vector<std::int32_t> sums(weights.sums.begin(), weights.sums.end());
    step.sums = pad_groups<std::int32_t>(sums, group, width);
  }
}

}  // namespace quaver
