// BatchNormalization in inference, channels last: y = x · a[c] + b[c], in two single operations.
#include <cmath>

#include "ops/row_step.h"

namespace quaver {
namespace {

class BatchNormStep final : public RowStep {
 public:
  explicit BatchNormStep(const LowerContext& context) : x_(context.in(0)), y_(context.out()) {
    const auto scale = context.constant<float>(1), bias = context.constant<float>(2);
    const auto mean = context.constant<float>(3), variance = context.constant<float>(4);
    const double epsilon = context.node.attrs.f("epsilon", 1e-5);
    for (std::size_t c = 0; c < scale.size(); ++c) {
      const double a = scale[c] / std::sqrt(variance[c] + epsilon);
      a_.push_back(static_cast<float>(a));
      b_.push_back(static_cast<float>(bias[c] - mean[c] * a));
    }
    info.kernel = "scale_shift";
    const Value& x = context.input(0);
    const std::size_t n = bytes_of(x) / sizeof(float);
    split(a_.empty() ? 0 : n / a_.size(), 2 * bytes_of(x));
  }

 private:
  void run_rows(const RunContext& context, std::size_t first, std::size_t last) const override {
    const std::size_t n = a_.size();
    const float *a = a_.data(), *b = b_.data();
    for (std::size_t i = first; i < last; ++i) {
      const float* x = context.as<const float>(x_) + i * n;
      float* y = context.as<float>(y_) + i * n;
      for (std::size_t c = 0; c < n; ++c) y[c] = x[c] * a[c] + b[c];
    }
  }

  std::vector<float> a_, b_;
  ValueId x_, y_;
};

}  // namespace

std::unique_ptr<Step> lower_BatchNormalization(LowerContext& context) {
  for (std::size_t i = 0; i < 5; ++i) {
    const Value& value = context.input(i);
    if (value.dtype != DType::f32) context.fail("'", value.name, "' is ", name_of(value.dtype), ", not float32");
  }
  return std::make_unique<BatchNormStep>(context);
}

}  // namespace quaver
