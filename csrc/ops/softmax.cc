#include "kernels/softmax/softmax.h"

#include "ops/requantize.h"
#include "ops/row_step.h"

namespace quaver {
namespace {

// A row is one softmax, along the last axis or down a column.
class SoftmaxStep final : public RowStep {
 public:
  SoftmaxStep(const LowerContext& context, std::size_t n, std::size_t inner)
      : x_(context.in(0)), y_(context.out()), kernel_(kernels::pick_softmax(context.isa)), inner_(inner) {
    const Value &x = context.input(0), &y = context.output();
    args_.n = n;
    args_.a_u8 = x.dtype == DType::u8;
    args_.c_u8 = y.dtype == DType::u8;
    if (args_.a_u8) {
      args_.a_scale = context.scale(x);
      args_.a_zero = context.zero_point(x);
    }
    if (args_.c_u8) {
      const ByteOutput out(context, y);
      args_.mul = 1.0F / out.scale;
      args_.zero = out.zero;
      args_.lo = out.lo;
      args_.hi = out.hi;
    }
    scratch = n * sizeof(float) * (inner == 1 ? 1 : kernels::kSoftmaxColumns);
    names(kernel_);
    const auto elements = static_cast<std::size_t>(count(x.shape));
    // Some 16 operations an element: a few thousand elements are worth handing out.
    split(n == 0 ? 0 : elements / n, elements * 16);
  }

 private:
  void run_rows(const RunContext& context, std::size_t first, std::size_t last) const override {
    const std::byte* x = context.as<std::byte>(x_);
    std::byte* y = context.as<std::byte>(y_);
    kernels::SoftmaxArgs args = args_;
    args.scratch = reinterpret_cast<float*>(context.scratch);
    if (inner_ == 1) {
      args.rows = last - first;
      args.a = x + first * args.n * (args.a_u8 ? 1 : sizeof(float));
      args.c = y + first * args.n * (args.c_u8 ? 1 : sizeof(float));
      kernel_.run(args);
      return;
    }
    args.stride = inner_;
    for (std::size_t i = first; i < last; i += args.columns) {
      const std::size_t at = i / inner_ * args.n * inner_ + i % inner_;
      args.columns = std::min(last - i, inner_ - i % inner_);
      args.a = x + at * (args.a_u8 ? 1 : sizeof(float));
      args.c = y + at * (args.c_u8 ? 1 : sizeof(float));
      kernel_.run(args);
    }
  }

  ValueId x_, y_;
  const kernels::SoftmaxKernel& kernel_;
  kernels::SoftmaxArgs args_;
  std::size_t inner_;
};

}  // namespace

std::unique_ptr<Step> lower_Softmax(LowerContext& context) {
  const Value& x = context.input(0);
  for (const Value* value : {&x, &context.output()}) {
    if (value->dtype != DType::f32 && !is_quantized(*value)) {
      context.fail("'", value->name, "' is ", name_of(value->dtype), "; float32 or quantized uint8 is expected");
    }
  }
  if (x.shape.empty()) context.fail("a scalar has no axis");
  const auto axis = static_cast<std::size_t>(
      normalize_axis(context.node.attrs.i("axis", -1), static_cast<std::int64_t>(x.shape.size())));
  const auto inner = static_cast<std::size_t>(strides_of(x.shape)[axis]);
  return std::make_unique<SoftmaxStep>(context, static_cast<std::size_t>(x.shape[axis]), inner);
}

}  // namespace quaver
