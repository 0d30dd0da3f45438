// Steps that depend on nothing of one another, as one: threads share the units of all.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "ops/op.h"

namespace quaver {

class GroupStep final : public Step {
 public:
  // The steps have to outlive this one.
  explicit GroupStep(std::vector<const Step*> steps) : steps_(std::move(steps)) {
    units = 0;
    for (const Step* step : steps_) units += step->units;
  }

  void run(const RunContext& context, std::size_t first, std::size_t last) const override {
    std::size_t begin = 0;
    for (const Step* step : steps_) {
      const std::size_t end = begin + step->units;
      if (first < end && last > begin) step->run(context, std::max(first, begin) - begin, std::min(last, end) - begin);
      begin = end;
    }
  }

 private:
  std::vector<const Step*> steps_;
};

}  // namespace quaver
