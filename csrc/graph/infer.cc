#include "graph/contents.h"
#include "graph/schema.h"

namespace quaver {

void infer_node(Graph& graph, const Node& node) {
  InferContext context(graph, node);
  try {
    schema_of(node.op).infer(context);
  } catch (const Error& error) {
    fail(error.status(), name_of(node.op), " '", node.name, "': ", error.what());
  }
  if (node.outputs[0] != kNone) graph.value(node.outputs[0]).known = known_output(graph, node);
}

void infer_shapes(Graph& graph) {
  for (const ValueId id : graph.inputs) {
    for (const std::int64_t d : graph.value(id).shape) {
      if (d > kLargestDimension)
        fail(Status::invalid_model, "input '", graph.value(id).name, "' has a dimension of ", d);
    }
  }
  for (const Node& node : graph.nodes) {
    if (!node.dead) infer_node(graph, node);
  }
}

}  // namespace quaver
