// What _core.Model.inspect() gives: a plan's steps in words and numbers.
#pragma once

#include <string>
#include <vector>

#include "base/dims.h"
#include "plan/plan.h"

namespace quaver::bindings {

struct TensorRecord {
  std::string name, dtype;
  Dims shape;
  std::size_t bytes;
  bool constant, quantized;
};

struct StepRecord {
  std::string node, op, kernel, isa, note;
  std::vector<std::string> candidates;  // kernels among which the choice fell on this one
  std::vector<TensorRecord> inputs, outputs;
  std::int64_t macs;
  std::size_t units, scratch;
};

struct PlanRecord {
  std::vector<StepRecord> steps;
  std::size_t arena_bytes, activation_bytes, scratch_bytes, constant_bytes;
};

PlanRecord record_of(const Plan& plan, IsaSet isa);

}  // namespace quaver::bindings
