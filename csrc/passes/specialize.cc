// A portable graph for one set of input shapes: what they determine is computed.
#include "base/error.h"
#include "graph/schema.h"
#include "passes/passes.h"

namespace quaver {
namespace {

void forget_shapes(Graph& graph) {
  for (Value& value : graph.values) {
    if (value.constant()) continue;
    value.ranked = false;
    value.shape.clear();
    value.known.reset();
  }
}

}  // namespace

void specialize(Graph& graph, const std::vector<Dims>& input_shapes, const Evaluator& evaluate) {
  if (input_shapes.size() != graph.inputs.size()) {
    fail(Status::internal, input_shapes.size(), " shapes for ", graph.inputs.size(), " inputs");
  }
  forget_shapes(graph);
  for (std::size_t i = 0; i < input_shapes.size(); ++i) {
    Value& input = graph.value(graph.inputs[i]);
    input.ranked = true;
    input.shape = input_shapes[i];
  }
  fold_constants(graph, evaluate);  // infers shapes on its way
  canonicalize(graph, evaluate);
  fuse_attention(graph, evaluate);  // which needs all shapes
  fuse_norm(graph, evaluate);       // and whether a residual has its shape
  remove_dead(graph, evaluate);
}

}  // namespace quaver
