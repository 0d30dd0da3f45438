// Nodes whose inputs are known are run now. Shapes are inferred on the way: a folded shape makes more of them known.
#include <algorithm>

#include "graph/schema.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

namespace quaver {
namespace {

// A model file may grow by this much for each folded node. Weights stored as int8 may always become float.
constexpr std::size_t kMaxGrowth = std::size_t{64} << 20;

bool all_constant(const Graph& graph, const Node& node) {
  return std::all_of(node.inputs.begin(), node.inputs.end(),
                     [&](ValueId in) { return in == kNone || graph.value(in).constant(); });
}

bool grows_too_much(const Graph& graph, const Node& node) {
  if (node.op == Op::DequantizeLinear) return false;
  std::size_t in = 0, out = 0;
  for (const ValueId id : node.inputs) in += id == kNone ? 0 : graph.value(id).data->size();
  for (const ValueId id : node.outputs) {
    const Value& value = graph.value(id);
    out += static_cast<std::size_t>(count(value.shape)) * size_of(value.dtype);
  }
  return out > in + kMaxGrowth;
}

// A constant takes the place of a node's output; false where the model's output is among them: a node must write it.
bool give(Graph& graph, Node& node, std::vector<Blob> results) {
  if (results.size() != node.outputs.size()) return false;
  for (std::size_t i = 0; i < results.size(); ++i) graph.value(node.outputs[i]).data = std::move(results[i]);
  node.dead = true;
  return true;
}

// Shape, whose answer is known as soon as the shape is.
std::vector<Blob> known_shape(const Graph& graph, const Node& node) {
  const Value& x = graph.value(node.inputs[0]);
  const Value& y = graph.value(node.outputs[0]);
  if (node.op != Op::Shape || !x.ranked || !y.static_shape()) return {};
  const auto rank = static_cast<std::int64_t>(x.shape.size());
  const auto bound = [&](const char* name, std::int64_t otherwise) {
    const std::int64_t at = node.attrs.i(name, otherwise);
    return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank);
  };
  const std::int64_t start = bound("start", 0), end = std::max(start, bound("end", rank));
  const Dims dims(x.shape.begin() + start, x.shape.begin() + end);
  if (!is_static(dims)) return {};
  return {Blob::of<std::int64_t>(dims)};
}

// Gather of dimensions that are known though others are not.
std::vector<Blob> known_dimensions(const Graph& graph, const std::vector<NodeId>& producer, const Node& node) {
  if (node.op != Op::Gather || producer[node.inputs[0]] == kNone) return {};
  const Node& shape = graph.nodes[producer[node.inputs[0]]];
  const auto picks = constant_ints(graph, node.inputs[1]);
  if (shape.op != Op::Shape || !shape.attrs.items().empty() || !picks) return {};
  const Value& x = graph.value(shape.inputs[0]);
  if (!x.ranked) return {};
  Dims dims;
  for (const std::int64_t pick : *picks) {
    dims.push_back(x.shape[normalize_axis(pick, static_cast<std::int64_t>(x.shape.size()))]);
  }
  if (!is_static(dims)) return {};
  return {Blob::of<std::int64_t>(dims)};
}

std::vector<Blob> computed(const Graph& graph, const Node& node, const Evaluator& evaluate) {
  const bool known = std::all_of(node.outputs.begin(), node.outputs.end(),
                                 [&](ValueId out) { return graph.value(out).static_shape(); });
  if (node.inputs.empty() || !all_constant(graph, node) || !known || grows_too_much(graph, node)) return {};
  return evaluate(graph, node);
}

bool fold(Graph& graph, const Evaluator& evaluate, bool keep_quantized) {
  const Uses uses(graph);
  bool changed = false;
  for (Node& node : graph.nodes) {
    if (node.dead) continue;
    infer_node(graph, node);
    const bool output =
        std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId out) { return graph.is_output(out); });
    if (output || (keep_quantized && node.op == Op::DequantizeLinear)) continue;
    changed |= give(graph, node, known_shape(graph, node)) ||
               give(graph, node, known_dimensions(graph, uses.producer, node)) ||
               give(graph, node, computed(graph, node, evaluate));
  }
  return changed;
}

}  // namespace

bool fold_constants(Graph& graph, const Evaluator& evaluate) { return fold(graph, evaluate, false); }

bool fold_constants_keep_quantized(Graph& graph, const Evaluator& evaluate) { return fold(graph, evaluate, true); }

}  // namespace quaver
