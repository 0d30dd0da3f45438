// Whether two values have the same shape in every run. Two unknown dimensions are told apart by trying: the inputs'
// unknown dimensions are given numbers, all different, and shapes are inferred from them.
#pragma once

#include <vector>

#include "graph/graph.h"

namespace quaver {

class SameShape {
 public:
  explicit SameShape(const Graph& graph);
  // Of values that were in the graph from the start; false for others whose shapes are not static.
  bool operator()(ValueId a, ValueId b) const;

 private:
  static constexpr int kTrials = 2;
  const Graph& graph_;
  std::vector<Value> tried_[kTrials];  // empty where the trial's sizes did not fit the model
};

}  // namespace quaver
