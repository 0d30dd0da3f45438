// Subnormal weights become zeros. Many CPUs take a hundred cycles and more for a product with one, and what it adds is
// below 2^-126 of what it multiplies.
#include <algorithm>
#include <cmath>
#include <vector>

#include "passes/clamp.h"
#include "passes/passes.h"

namespace quaver {
namespace {

bool subnormal(float w) { return std::fpclassify(w) == FP_SUBNORMAL; }

}  // namespace

bool flush_weights(Graph& graph, const Evaluator&) {
  bool changed = false;
  for (NodeId id = 0; id < graph.nodes.size(); ++id) {
    if (!is_weighted(graph.nodes[id].op)) continue;
    const ValueId weight = graph.nodes[id].inputs[1];
    if (!graph.value(weight).constant() || graph.value(weight).dtype != DType::f32) continue;
    const auto items = graph.value(weight).data->as<float>();
    if (std::ranges::none_of(items, subnormal)) continue;
    std::vector<float> out(items.begin(), items.end());
    std::ranges::replace_if(out, subnormal, 0.0F);
    const Value old = graph.value(weight);
    graph.nodes[id].inputs[1] = graph.add_constant(old.name + "/flushed", DType::f32, old.shape, Blob::of<float>(out));
    changed = true;
  }
  return changed;
}

}  // namespace quaver
