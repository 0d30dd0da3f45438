#include <algorithm>

#include "ops/op.h"

namespace quaver {
namespace {

class ShapeStep final : public Step {
 public:
  ShapeStep(ValueId y, Dims dims) : y_(y), dims_(std::move(dims)) { info.kernel = "constant"; }

  void run(const RunContext& context, std::size_t, std::size_t) const override {
    std::copy(dims_.begin(), dims_.end(), context.as<std::int64_t>(y_));
  }

 private:
  ValueId y_;
  Dims dims_;
};

}  // namespace

std::unique_ptr<Step> lower_Shape(LowerContext& context) {
  const Dims& shape = context.input(0).shape;
  const auto rank = static_cast<std::int64_t>(shape.size());
  const auto position = [&](const char* name, std::int64_t otherwise) {
    const std::int64_t at = context.node.attrs.i(name, otherwise);
    return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank);
  };
  const std::int64_t start = position("start", 0), end = std::max(start, position("end", rank));
  return std::make_unique<ShapeStep>(context.out(), Dims(shape.begin() + start, shape.begin() + end));
}

}  // namespace quaver
