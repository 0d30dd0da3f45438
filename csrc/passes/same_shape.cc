#include "passes/same_shape.h"

#include <algorithm>

#include "base/error.h"
#include "graph/schema.h"

namespace quaver {
namespace {

bool any_dynamic(const Graph& graph) {
  return std::any_of(graph.inputs.begin(), graph.inputs.end(),
                     [&](ValueId id) { return !graph.value(id).static_shape(); });
}

// Multiples of 64 survive strides and divisions.
void give_sizes(Graph& graph, int trial) {
  std::int64_t next = trial + 3;
  for (const ValueId id : graph.inputs) {
    for (std::int64_t& d : graph.value(id).shape) {
      if (d == kDynamic) d = 64 * next++;
    }
  }
  for (const Node& node : graph.nodes) {
    if (node.dead) continue;
    for (const ValueId out : node.outputs) {
      graph.value(out).ranked = false;
      graph.value(out).shape.clear();
    }
  }
}

}  // namespace

SameShape::SameShape(const Graph& graph) : graph_(graph) {
  if (!any_dynamic(graph)) return;
  for (int trial = 0; trial < kTrials; ++trial) {
    Graph copy = graph;
    give_sizes(copy, trial);
    try {
      infer_shapes(copy);
    } catch (const Error&) {
      continue;  // nothing is known, and so nothing is the same
    }
    tried_[trial] = std::move(copy.values);
  }
}

bool SameShape::operator()(ValueId a, ValueId b) const {
  const Value &x = graph_.value(a), &y = graph_.value(b);
  if (x.static_shape() && y.static_shape()) return x.shape == y.shape;
  return std::all_of(std::begin(tried_), std::end(tried_), [&](const std::vector<Value>& values) {
    return a < values.size() && b < values.size() && values[a].static_shape() && values[b].static_shape() &&
           values[a].shape == values[b].shape;
  });
}

}  // namespace quaver
