#include "graph/graph.h"

namespace quaver {

Uses::Uses(const Graph& graph)
    : producer(graph.values.size(), kNone), consumers(graph.values.size()), count(graph.values.size(), 0) {
  for (NodeId id = 0; id < graph.nodes.size(); ++id) {
    const Node& node = graph.nodes[id];
    if (node.dead) continue;
    for (const ValueId out : node.outputs) producer[out] = id;
    for (const ValueId in : node.inputs) {
      if (in == kNone) continue;
      consumers[in].push_back(id);
      ++count[in];
    }
  }
  for (const ValueId out : graph.outputs) ++count[out];
}

}  // namespace quaver
