#include "kernels/norm/norm.h"
#include "ops/requantize.h"
#include "ops/row_step.h"

namespace quaver {
namespace {

// fp32, or bytes of one scale.
struct Operand {
  ValueId id = kNone;
  kernels::NormOperand reals;

  Operand() = default;
  Operand(const LowerContext& context, std::size_t i) : id(context.in(i)), bytes_(context.input(i).dtype == DType::u8) {
    const Value& value = context.input(i);
    if (value.dtype != DType::f32 && !is_quantized(value)) {
      context.fail("'", value.name, "' is ", name_of(value.dtype), "; float32 or quantized uint8 is expected");
    }
    if (bytes_) reals = {nullptr, nullptr, context.scale(value), context.zero_point(value)};
  }
  kernels::NormOperand from(const RunContext& context, std::size_t begin) const {
    kernels::NormOperand out = reals;
    if (id == kNone) return out;
    if (bytes_) {
      out.u8 = context.as<const std::uint8_t>(id) + begin;
    } else {
      out.f32 = context.as<const float>(id) + begin;
    }
    return out;
  }

 private:
  bool bytes_ = false;
};

class LayerNormStep final : public RowStep {
 public:
  LayerNormStep(const LowerContext& context, std::size_t n)
      : kernel_(kernels::pick_layer_norm(context.isa)), x_(context, 0), gamma_(context.in(1)) {
    args_.n = n;
    args_.epsilon = static_cast<float>(context.node.attrs.f("epsilon", 1e-5));
    if (context.has_input(2)) beta_ = context.in(2);
    zeros_.assign(beta_ == kNone ? n : 0, 0.0F);
    if (context.has_input(4)) factor_ = context.in(4);
    if (context.has_input(3)) residual_ = Operand(context, 3);
    for (std::size_t i = 0; i < context.node.outputs.size(); ++i) take_output(context, i);
    scratch = align_up(kernels::kNormRows * n * sizeof(float));
    names(kernel_);
    const auto elements = static_cast<std::size_t>(count(context.input(0).shape));
    split(n == 0 ? 0 : elements / n, elements * 12);
  }

 private:
  void take_output(const LowerContext& context, std::size_t i) {
    const Value& y = context.output(i);
    if (y.dtype == DType::f32) {
      y_ = context.out(i);
      return;
    }
    bytes_ = context.out(i);
    const ByteOutput out(context, y);
    args_.mul = 1.0F / out.scale;
    args_.zero = out.zero;
    args_.lo = out.lo;
    args_.hi = out.hi;
  }

  void run_rows(const RunContext& context, std::size_t first, std::size_t last) const override {
    kernels::LayerNormArgs args = args_;
    const std::size_t begin = first * args.n;
    args.rows = last - first;
    args.a = x_.from(context, begin);
    args.r = residual_.from(context, begin);
    args.gamma = context.as<const float>(gamma_);
    args.beta = beta_ == kNone ? zeros_.data() : context.as<const float>(beta_);
    if (factor_ != kNone) args.factor = context.as<const float>(factor_);
    if (y_ != kNone) args.c = context.as<float>(y_) + begin;
    if (bytes_ != kNone) args.b = context.as<std::uint8_t>(bytes_) + begin;
    args.scratch = reinterpret_cast<float*>(context.scratch);
    kernel_.run(args);
  }

  const kernels::LayerNormKernel& kernel_;
  kernels::LayerNormArgs args_;
  std::vector<float> zeros_;
  Operand x_, residual_;
  ValueId gamma_, beta_ = kNone, factor_ = kNone, y_ = kNone, bytes_ = kNone;
};

}  // namespace

std::unique_ptr<Step> lower_LayerNormalization(LowerContext& context) {
  const Dims& x = context.input(0).shape;
  const auto rank = static_cast<std::int64_t>(x.size());
  const std::int64_t axis = normalize_axis(context.node.attrs.i("axis", -1), rank);
  const auto n = static_cast<std::size_t>(count(Dims(x.begin() + axis, x.end())));
  for (const std::size_t i : {1, 2, 4}) {
    if (!context.has_input(i)) continue;
    const Value& value = context.input(i);
    if (value.dtype != DType::f32) context.fail("'", value.name, "' is ", name_of(value.dtype), ", not float32");
    if (static_cast<std::size_t>(count(value.shape)) != n) {
      context.fail("'", value.name, "' has the shape ", to_string(value.shape), " where rows have ", n, " elements");
    }
  }
  if (context.has_input(3) && context.input(3).shape != x) context.fail("the residual has another shape than x");
  return std::make_unique<LayerNormStep>(context, n);
}

}  // namespace quaver
