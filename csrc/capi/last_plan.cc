#include <algorithm>

#include "base/error.h"
#include "capi/model.h"

namespace quaver::capi {
namespace {

Dims dims_of(const Model& model, std::span<const quaver_buffer> inputs, std::size_t i) {
  const quaver_buffer& buffer = inputs[i];
  if (buffer.rank < 0 || buffer.rank > QUAVER_MAX_RANK) {
    fail(Status::invalid_input, "input '", model.inputs()[i].name, "': rank ", buffer.rank, " is outside [0, ",
         QUAVER_MAX_RANK, "]");
  }
  return Dims(buffer.shape, buffer.shape + buffer.rank);
}

}  // namespace

bool LastPlan::matches(std::span<const quaver_buffer> inputs) const {
  return plan_ && std::equal(inputs.begin(), inputs.end(), shapes_.begin(), shapes_.end(),
                             [](const quaver_buffer& buffer, const Dims& dims) {
                               return buffer.rank == static_cast<std::int64_t>(dims.size()) &&
                                      std::equal(dims.begin(), dims.end(), buffer.shape);
                             });
}

std::shared_ptr<const Plan> LastPlan::get(Model& model, std::span<const quaver_buffer> inputs) {
  {
    const std::lock_guard lock(mutex_);
    if (matches(inputs)) return plan_;
  }
  std::vector<Dims> shapes;
  for (std::size_t i = 0; i < inputs.size(); ++i) shapes.push_back(dims_of(model, inputs, i));
  std::shared_ptr<const Plan> plan = model.plan(shapes);
  const std::lock_guard lock(mutex_);
  shapes_ = std::move(shapes);
  plan_ = plan;
  return plan;
}

}  // namespace quaver::capi
