// MatMul with a constant right-hand side, packed once. One that is computed at run time: matmul_dynamic.cc.
#include <algorithm>
#include <optional>

#include "ops/conv_weights.h"
#include "ops/epilogue.h"
#include "ops/matmul_dynamic.h"
#include "ops/matmul_nibbles.h"
#include "ops/matmul_shape.h"

namespace quaver {
namespace {

template <class T>
Blob transposed(const Blob& blob, std::size_t k, std::size_t n) {
  std::vector<T> out(k * n);
  const auto in = blob.as<T>();
  for (std::size_t p = 0; p < k; ++p) {
    for (std::size_t j = 0; j < n; ++j) out[j * k + p] = in[p * n + j];
  }
  return Blob::of<T>(out);
}

// The weight [K, N] as [N, K], a row per output column; transposed only when something reads it.
class Columns {
 public:
  Columns(const LowerContext& context, const MatMulShape& shape) : weight_(context.input(1)), shape_(shape) {}

  const Value& rows() {
    if (rows_) return *rows_;
    rows_ = weight_;
    rows_->shape = {std::int64_t(shape_.n), std::int64_t(shape_.k)};
    rows_->data = weight_.dtype == DType::f32 ? transposed<float>(*weight_.data, shape_.k, shape_.n)
                                              : transposed<std::uint8_t>(*weight_.data, shape_.k, shape_.n);
    if (rows_->quant) rows_->quant->axis = rows_->quant->per_tensor() ? -1 : 0;
    return *rows_;
  }
  template <class T>
  const T* as() {
    return rows().data->template as<T>().data();
  }

 private:
  const Value& weight_;
  const MatMulShape& shape_;
  std::optional<Value> rows_;
};

// Weights whose planes are the columns themselves, or others.
WeightPlanes planes_of(const LowerContext& context, const MatMulShape& shape, Columns& columns) {
  const Value& weight = context.input(1);
  const bool per_column = weight.quant && (weight.quant->per_tensor() || weight.quant->scale.size() == shape.n);
  if (!per_column || !is_symmetric(weight.dtype, weight.quant->zero_point)) {
    return weight_planes(context, columns.rows(), shape.n);
  }
  const std::vector<float>& scale = weight.quant->scale;
  WeightPlanes out;
  out.rows = shape.n, out.depth = shape.k;
  for (std::size_t j = 0; j < shape.n; ++j) out.scale.push_back(scale[scale.size() == 1 ? 0 : j]);
  out.sums = cached_sums(context.cache, weight.data->data(), "kn ", shape.n, shape.k,
                         [&] { return columns.as<std::int8_t>(); });
  return out;
}

// The one part of a product: all batches' rows under one another. Without `planes`, the columns as they are.
template <class Family>
void add_part(const LowerContext& context, GemmStep<Family>& step, const MatMulShape& shape, Columns& columns,
              const std::vector<const typename Family::Weight*>& planes) {
  using Weight = typename Family::Weight;
  const void* source = context.input(1).data->data();
  const std::size_t taps = std::max<std::size_t>(planes.size(), 1);
  step.x = context.in(0);
  step.y = context.out();
  step.args.k = shape.k;
  step.args.a_stride = shape.k * sizeof(typename Family::Element);
  GemmPart part;
  part.m = shape.m * shape.a.size();
  part.n = shape.n;
  part.taps = taps;
  part.y_stride = shape.n * step.y_element;
  std::string kind = text(Family::kLayout, "kn ", shape.k, "x", shape.n);
  if (!planes.empty()) kind += kind_of_planes(source, planes, shape.n * shape.k);
  part.w = context.cache.get(source, kind, Family::packed_bytes(shape.n, taps, shape.k), [&](void* out) {
    const auto walked = planes.empty() ? std::vector<const Weight*>{columns.as<Weight>()} : planes;
    write_rows<Family>(walked, 1, shape.k, 0, shape.n, {0}, out);
  });
  if (taps > 1) {
    part.offsets = 0;
    for (std::size_t i = 0; i < part.m * taps; ++i) {
      step.offsets.push_back(static_cast<std::int32_t>(i / taps * step.args.a_stride));
    }
  }
  step.parts.push_back(std::move(part));
}

template <class T>
std::span<const T> bias_of(const LowerContext& context) {
  return context.has_input(2) ? context.constant<T>(2) : std::span<const T>{};
}

template <class T>
std::vector<T> spread(std::span<const T> bias, std::size_t n) {
  std::vector<T> out(pad_to_panel(n), T{});
  for (std::size_t j = 0; j < n && !bias.empty(); ++j) out[j] = bias[bias.size() == 1 ? 0 : j];
  return out;
}

template <class Family>
std::unique_ptr<Step> lower_float(LowerContext& context, const MatMulShape& shape) {
  auto step = std::make_unique<GemmStep<Family>>();
  Columns columns(context, shape);
  step->bias = spread<float>(bias_of<float>(context), shape.n);
  set_epilogue_f32(context, step->args);
  if (context.has_input(kResidual)) step->residual = context.in(kResidual);
  step->kernel = &Family::pick(context.isa, shape.m * shape.a.size(), shape.n, shape.k);
  add_part<Family>(context, *step, shape, columns, {});
  step->finish();
  return step;
}

std::unique_ptr<Step> lower_u8(LowerContext& context, const MatMulShape& shape) {
  auto step = std::make_unique<GemmStep<U8Gemm>>();
  Columns columns(context, shape);
  const WeightPlanes weights = planes_of(context, shape, columns);
  const std::int32_t zero = context.zero_point(context.input(0));
  step->bias = pad_groups<std::int32_t>(fold_bias(weights, zero, bias_of<std::int32_t>(context)), 1, shape.n);
  const float y_scale = set_epilogue_u8_or_f32(context, step->args);
  step->y_element = size_of(context.output().dtype);
  step->scale = pad_groups<float>(requantize_scales(weights, context.scale(context.input(0)), y_scale), 1, shape.n);
  if (context.has_input(kResidual)) step->residual = context.in(kResidual);
  step->kernel = &kernels::pick_gemm_u8(context.isa, shape.m * shape.a.size(), shape.n, shape.k);
  add_part<U8Gemm>(context, *step, shape, columns, weights.planes);
  step->finish();
  return step;
}

}  // namespace

std::unique_ptr<Step> lower_MatMul(LowerContext& context) {
  const MatMulShape shape = matmul_shape(context);
  const bool quantized = is_quantized(context);
  if (!context.input(1).constant() || !shape.shared_b) return lower_matmul_dynamic(context, shape);
  if (quantized) return lower_u8(context, shape);
  return context.bf16() ? lower_float<Bf16Gemm>(context, shape) : lower_float<F32Gemm>(context, shape);
}

std::unique_ptr<Step> lower_MatMulInteger(LowerContext& context) {
  const MatMulShape shape = matmul_shape(context);
  if (context.input(0).dtype != DType::u8) context.fail("its activations are ", name_of(context.input(0).dtype));
  if (!context.input(1).constant() || !shape.shared_b) return lower_matmul_dynamic(context, shape);
  auto step = std::make_unique<GemmStep<U8Gemm>>();
  Columns columns(context, shape);
  const WeightPlanes weights = integer_weights(context, columns.rows(), shape.n);
  set_integer_zero(context, *step, weights, 1, shape.n, shape.k);
  step->args.output = kernels::Output::i32;
  step->y_element = sizeof(std::int32_t);
  step->kernel = &kernels::pick_gemm_u8(context.isa, shape.m * shape.a.size(), shape.n, shape.k);
  add_part<U8Gemm>(context, *step, shape, columns, weights.planes);
  step->finish();
  return step;
}

std::unique_ptr<Step> lower_MatMulIntegerToFloat(LowerContext& context) {
  if (context.node.attrs.i("block_size", 0) > 0) return lower_matmul_nibbles(context);
  const MatMulShape shape = matmul_shape(context);
  if (context.input(0).dtype != DType::u8) context.fail("its activations are ", name_of(context.input(0).dtype));
  if (!context.input(1).constant() || !shape.shared_b) context.fail("its weight is computed at run time");
  auto step = std::make_unique<GemmStep<U8Gemm>>();
  Columns columns(context, shape);
  const auto scales = context.constant<float>(3);
  const WeightPlanes weights =
      weight_planes(columns.rows(), shape.n, integer_zero_points(context, 5), {scales.begin(), scales.end()});
  step->scale = pad_groups<float>(weights.scale, 1, shape.n);
  step->bias.assign(pad_to_panel(shape.n), 0);
  step->sums =
      pad_groups<std::int32_t>(std::vector<std::int32_t>(weights.sums.begin(), weights.sums.end()), 1, shape.n);
  if (context.has_input(6)) step->shift = spread<float>(context.constant<float>(6), shape.n);
  step->x_scale = context.in(2);
  if (context.has_input(4)) step->x_zero = context.in(4);
  step->args.output = kernels::Output::f32;
  step->y_element = sizeof(float);
  step->kernel = &kernels::pick_gemm_u8(context.isa, shape.m * shape.a.size(), shape.n, shape.k);
  add_part<U8Gemm>(context, *step, shape, columns, weights.planes);
  step->finish();
  return step;
}

}  // namespace quaver
