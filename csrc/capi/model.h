// The handle behind `quaver_model`.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "model/model.h"
#include "quaver.h"

namespace quaver::capi {

// The plan of the shapes asked for last, found again without building the shapes as C++ values: a run of unchanged
// shapes allocates nothing.
class LastPlan {
 public:
  // Throws as Model::plan(), and where a rank is outside [0, QUAVER_MAX_RANK].
  std::shared_ptr<const Plan> get(Model& model, std::span<const quaver_buffer> inputs);

 private:
  bool matches(std::span<const quaver_buffer> inputs) const;

  std::mutex mutex_;
  std::vector<Dims> shapes_;
  std::shared_ptr<const Plan> plan_;
};

}  // namespace quaver::capi

struct quaver_model {
  std::shared_ptr<quaver::Model> model;
  quaver::capi::LastPlan last_plan;
};
