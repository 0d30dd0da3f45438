// What no output needs.
#include "passes/passes.h"

namespace quaver {

bool remove_dead(Graph& graph, const Evaluator&) {
  const std::size_t nodes = graph.nodes.size(), values = graph.values.size();
  graph.compact();
  return graph.nodes.size() != nodes || graph.values.size() != values;
}

}  // namespace quaver
