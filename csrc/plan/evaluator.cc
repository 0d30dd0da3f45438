#include "graph/schema.h"
#include "isa/cpu.h"
#include "ops/pack_cache.h"
#include "plan/plan.h"

namespace quaver {
namespace {

// A graph of this one node and the constants it takes.
Graph graph_of(const Graph& source, const Node& node) {
  Graph graph;
  Node copy = node;
  for (ValueId& id : copy.inputs) {
    if (id == kNone) continue;
    graph.values.push_back(source.value(id));
    id = static_cast<ValueId>(graph.values.size() - 1);
  }
  for (ValueId& id : copy.outputs) {
    graph.values.push_back(source.value(id));
    id = static_cast<ValueId>(graph.values.size() - 1);
    graph.outputs.push_back(id);
  }
  graph.nodes.push_back(std::move(copy));
  return graph;
}

std::vector<Blob> evaluate(const Graph& source, const Node& node) {
  Graph graph = graph_of(source, node);
  infer_shapes(graph);
  for (const ValueId id : graph.outputs) {
    if (!graph.value(id).static_shape()) return {};
  }
  const Plan plan(std::move(graph), detected_isa(), std::make_shared<PackCache>());
  Execution execution(plan, 1);
  std::vector<std::shared_ptr<AlignedBuffer>> buffers;
  std::vector<void*> outputs;
  for (const ValueId id : plan.graph().outputs) {
    const Value& value = plan.graph().value(id);
    buffers.push_back(std::make_shared<AlignedBuffer>(count(value.shape) * size_of(value.dtype)));
    outputs.push_back(buffers.back()->data());
  }
  plan.run(execution, {}, outputs, nullptr);
  std::vector<Blob> blobs;
  for (auto& buffer : buffers) {
    const std::byte* bytes = buffer->data();
    const std::size_t size = buffer->size();
    blobs.emplace_back(std::move(buffer), bytes, size);
  }
  return blobs;
}

}  // namespace

Evaluator make_evaluator() {
  return [](const Graph& graph, const Node& node) -> std::vector<Blob> {
    try {
      return evaluate(graph, node);
    } catch (const Error& error) {
      // What cannot run now may still run later, or fails there with its own message.
      if (error.status() == Status::unsupported) return {};
      throw;
    }
  };
}

}  // namespace quaver
