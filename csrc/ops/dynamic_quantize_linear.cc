// A tensor quantized to u8 by its own range, which always holds 0. Where all is 0 the scale is 1, as in ONNX Runtime.
#include <algorithm>
#include <cmath>

#include "kernels/quantize/quantize.h"
#include "ops/elements.h"

namespace quaver {
namespace {

class DynamicQuantizeStep final : public Step {
 public:
  explicit DynamicQuantizeStep(const LowerContext& context)
      : range_(kernels::pick_range(context.isa)),
        quantize_(kernels::pick_quantize(context.isa)),
        n_(elements_of(context.input(0))),
        x_(context.in(0)),
        y_(context.out(0)),
        scale_(context.out(1)),
        zero_(context.out(2)) {
    info.kernel = quantize_.name;
    info.isa = quantize_.isa;
  }

  void run(const RunContext& context, std::size_t, std::size_t) const override {
    const float* x = context.as<const float>(x_);
    float least, greatest;
    range_.run({n_, x, &least, &greatest});
    const float scale = least == greatest ? 1.0F : (greatest - least) / 255.0F;
    const float ideal = 0.0F - least / scale;
    const auto zero = static_cast<std::int32_t>(std::nearbyint(ideal > 0 ? std::min(ideal, 255.0F) : 0.0F));
    *context.as<float>(scale_) = scale;
    *context.as<std::uint8_t>(zero_) = static_cast<std::uint8_t>(zero);
    quantize_.run({n_, x, &scale, &zero, 0, 0, context.as<std::uint8_t>(y_)});
  }

 private:
  const kernels::RangeKernel& range_;
  const kernels::QuantizeKernel& quantize_;
  std::size_t n_;
  ValueId x_, y_, scale_, zero_;
};

}  // namespace

std::unique_ptr<Step> lower_DynamicQuantizeLinear(LowerContext& context) {
  const Value& x = context.input(0);
  if (x.dtype != DType::f32) context.fail("'", x.name, "' is ", name_of(x.dtype), "; float32 can be used");
  if (context.node.outputs.size() < 3) context.fail("it has three outputs: values, scale and zero point");
  return std::make_unique<DynamicQuantizeStep>(context);
}

}  // namespace quaver
