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

// Integers that follow from shapes, other dimensions of which may be open.
std::vector<Blob> known(const Graph& graph, const Node& node) {
  const Value& y = graph.value(node.outputs[0]);
  if (node.outputs.size() != 1 || !y.known || !is_static(*y.known)) return {};
  if (y.dtype == DType::i64) return {Blob::of<std::int64_t>(*y.known)};
  return {Blob::of<std::int32_t>(std::vector<std::int32_t>(y.known->begin(), y.known->end()))};
}

std::vector<Blob> computed(const Graph& graph, const Node& node, const Evaluator& evaluate) {
  const bool known = std::all_of(node.outputs.begin(), node.outputs.end(),
                                 [&](ValueId out) { return graph.value(out).static_shape(); });
  if (node.inputs.empty() || !all_constant(graph, node) || !known || grows_too_much(graph, node)) return {};
  return evaluate(graph, node);
}

bool fold(Graph& graph, const Evaluator& evaluate, bool keep_quantized) {
  bool changed = false;
  for (Node& node : graph.nodes) {
    if (node.dead) continue;
    infer_node(graph, node);
    const bool output =
        std::any_of(node.outputs.begin(), node.outputs.end(), [&](ValueId out) { return graph.is_output(out); });
    if (output || (keep_quantized && node.op == Op::DequantizeLinear)) continue;
    changed |= give(graph, node, known(graph, node)) || give(graph, node, computed(graph, node, evaluate));
  }
  return changed;
}

}  // namespace

bool fold_constants(Graph& graph, const Evaluator& evaluate) { return fold(graph, evaluate, false); }

bool fold_constants_keep_quantized(Graph& graph, const Evaluator& evaluate) { return fold(graph, evaluate, true); }

}  // namespace quaver
