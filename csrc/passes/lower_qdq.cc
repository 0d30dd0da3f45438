// DequantizeLinear → op → QuantizeLinear becomes op on the quantized values, in three steps:
//   1. QuantizeLinear rises above nodes that only move elements, to meet the node that computes them.
//   2. In run order: a DequantizeLinear sinks below moves, a QuantizeLinear that undoes it goes away, and a computing
//      node whose inputs and output are quantized takes the bytes themselves (lower_compute.cc).
//   3. What is left in float says why.
#include <algorithm>

#include "passes/lower_compute.h"
#include "passes/passes.h"
#include "passes/quantization.h"
#include "passes/rewrite.h"

namespace quaver {
namespace {

std::vector<ValueId> quantization_inputs(const Node& node, ValueId x) {
  std::vector<ValueId> inputs = node.inputs;
  inputs[0] = x;
  return inputs;
}

// Equal QuantizeLinears of one value are one.
void merge_quantizes(Editor& edit, ValueId id) {
  NodeId first = kNone;
  const std::vector<NodeId> users = edit.users(id);
  for (const NodeId user : users) {
    const Node& node = edit.node(user);
    if (node.op != Op::QuantizeLinear || node.inputs[0] != id || !quant_of(edit.graph, node)) continue;
    if (first == kNone) {
      first = user;
    } else if (quant_of(edit.graph, node) == quant_of(edit.graph, edit.node(first)) &&
               edit.value(node.outputs[0]).dtype == edit.value(edit.node(first).outputs[0]).dtype &&
               !edit.graph.is_output(node.outputs[0])) {
      edit.replace_uses(node.outputs[0], edit.node(first).outputs[0]);
      edit.kill(user);
    }
  }
}

// Moves of bytes, as models have them between quantized operators, keep what the bytes stand for.
void share_quant(Editor& edit, const Node& node, bool forward) {
  if (node.dead || !moves_elements(node) || node.inputs.empty() || !is_byte(edit.value(node.inputs[0]).dtype)) return;
  Value& x = edit.value(node.inputs[0]);
  for (const ValueId out : node.outputs) {
    Value& y = edit.value(out);
    if (forward && x.quant && x.quant->per_tensor() && !y.quant) y.quant = x.quant;
    if (!forward && y.quant && !x.quant && !x.constant()) x.quant = y.quant;
  }
}

// What a value's bytes stand for, where one QuantizeLinear or all DequantizeLinears say so.
void annotate(Editor& edit) {
  const std::vector<Node>& nodes = edit.graph.nodes;
  for (ValueId id = 0; id < edit.graph.values.size(); ++id) merge_quantizes(edit, id);
  for (const Node& node : nodes) {
    if (node.dead || (node.op != Op::QuantizeLinear && node.op != Op::DequantizeLinear)) continue;
    Value& stored = edit.value(node.op == Op::QuantizeLinear ? node.outputs[0] : node.inputs[0]);
    const std::optional<Quant> quant = quant_of(edit.graph, node);
    if (quant && quant->per_tensor() && is_byte(stored.dtype) && !stored.quant) stored.quant = quant;
  }
  std::for_each(nodes.begin(), nodes.end(), [&](const Node& node) { share_quant(edit, node, true); });
  std::for_each(nodes.rbegin(), nodes.rend(), [&](const Node& node) { share_quant(edit, node, false); });
}

bool all_from_one_scale(Editor& edit, const Node& concat) {
  const Source first = quantized_source(edit, concat.inputs[0]);
  return std::all_of(concat.inputs.begin(), concat.inputs.end(), [&](ValueId in) {
    const Source source = quantized_source(edit, in);
    return first.stored != kNone && source.stored != kNone &&
           edit.value(source.stored).quant == edit.value(first.stored).quant &&
           edit.value(source.stored).dtype == edit.value(first.stored).dtype;
  });
}

// Whether the QuantizeLinear behind this move is better before it: not where that makes more elements to quantize, but
// always before a Pad, whose value may be none that the scale of its input has.
bool rises_above(Editor& edit, const Node& move) {
  switch (move.op) {
    case Op::Concat: return !all_from_one_scale(edit, move);
    case Op::Pad: return true;
    case Op::MaxPool:
    case Op::Reshape:
    case Op::Transpose:
    case Op::Flatten:
    case Op::Squeeze:
    case Op::Unsqueeze:
    case Op::Identity: return !edit.made_by(move.inputs[0], Op::DequantizeLinear);
    default: return false;
  }
}

// A Pad's value as the byte it becomes; false where it is not known, or, if that is asked for, not exactly that byte.
bool quantize_pad_value(Editor& edit, NodeId id, Quant quant, DType dtype, bool exactly) {
  const Node& pad = edit.node(id);
  if (pad.op != Op::Pad || pad.attrs.s("mode", "constant") != "constant") return true;
  if (!quant.per_tensor()) return false;
  const auto real = has_input(pad, 2) ? constant_scalar(edit.graph, pad.inputs[2]) : std::optional(0.0F);
  if (!real) return false;
  const std::uint8_t byte = quantize(*real, quant, dtype);
  const int stored = dtype == DType::s8 ? static_cast<std::int8_t>(byte) : byte;
  if (exactly && static_cast<float>(stored - quant.zero_point[0]) * quant.scale[0] != *real) return false;
  const ValueId value = edit.graph.add_constant(pad.name + "/value", dtype, {}, Blob::copy(&byte, 1));
  edit.value(value).quant = quant;
  edit.set_input(id, 2, value);
  return true;
}

void raise(Editor& edit, NodeId id) {
  const ValueId y = edit.node(id).outputs[0];
  if (!edit.single_use(y) || !moves_elements(edit.node(id)) || edit.value(y).dtype != DType::f32) return;
  const NodeId quantize = edit.users(y)[0];
  if (edit.node(quantize).op != Op::QuantizeLinear || edit.node(quantize).inputs[0] != y) return;
  const ValueId stored = edit.node(quantize).outputs[0];
  if (!edit.value(stored).quant || !rises_above(edit, edit.node(id))) return;
  if (!quantize_pad_value(edit, id, *edit.value(stored).quant, edit.value(stored).dtype, false)) return;
  const Node node = edit.node(quantize);
  for (std::size_t i = 0; i < moved_inputs(edit.node(id)); ++i) {
    const ValueId x = edit.node(id).inputs[i];
    const ValueId above = edit.add_like(x, "/quantized");
    edit.value(above).dtype = edit.value(stored).dtype;
    edit.value(above).quant = edit.value(stored).quant;
    edit.add(Op::QuantizeLinear, node.name, quantization_inputs(node, x), {above}, node.attrs);
    edit.set_input(id, i, above);
    merge_quantizes(edit, x);
  }
  edit.kill(quantize);
  edit.set_output(id, 0, stored);
}

// QuantizeLinear straight after the DequantizeLinear it undoes. With other parameters it stays: a table, later.
bool drop_round_trip(Editor& edit, NodeId id) {
  if (edit.node(id).op != Op::QuantizeLinear) return false;
  const Node* dequantize = edit.made_by(edit.node(id).inputs[0], Op::DequantizeLinear);
  if (!dequantize || quant_of(edit.graph, *dequantize) != quant_of(edit.graph, edit.node(id))) return false;
  if (!quant_of(edit.graph, *dequantize)) return false;
  const ValueId x = edit.node(id).inputs[0];
  if (!edit.bypass(id, dequantize->inputs[0])) return false;
  edit.prune(x);
  return true;
}

// Moves of stored weights are made at once.
void compute_now(Editor& edit, NodeId id, const Evaluator& evaluate) {
  const Node& node = edit.node(id);
  const bool known = std::all_of(node.inputs.begin(), node.inputs.end(),
                                 [&](ValueId in) { return in == kNone || edit.value(in).constant(); });
  if (!known || !edit.value(node.outputs[0]).static_shape()) return;
  std::vector<Blob> results = evaluate(edit.graph, node);
  if (results.size() != node.outputs.size()) return;
  for (std::size_t i = 0; i < results.size(); ++i) edit.value(node.outputs[i]).data = std::move(results[i]);
  edit.kill(id);
}

// The DequantizeLinear whose parameters all elements that `move` moves are read with; why not, where there is none.
std::string common_dequantize(Editor& edit, const Node& move, Node& out) {
  for (std::size_t i = 0; i < moved_inputs(move); ++i) {
    const Node* node = edit.made_by(move.inputs[i], Op::DequantizeLinear);
    if (!node || !is_byte(edit.value(node->inputs[0]).dtype) || !quant_of(edit.graph, *node)) {
      return quantized_source(edit, move.inputs[i]).why;
    }
    if (i == 0) out = *node;
    if (quant_of(edit.graph, *node) != quant_of(edit.graph, out) ||
        edit.value(node->inputs[0]).dtype != edit.value(out.inputs[0]).dtype) {
      return "its inputs have different scales, and its output is used as float";
    }
  }
  return "";
}

// move(DQ(q)) = DQ(move(q)).
std::string sink(Editor& edit, NodeId id, const Evaluator& evaluate) {
  Node dequantize;
  std::string why = common_dequantize(edit, edit.node(id), dequantize);
  if (!why.empty()) return why;
  const Quant quant = *quant_of(edit.graph, dequantize);
  const DType dtype = edit.value(dequantize.inputs[0]).dtype;
  const std::optional<Quant> after = quant_after(edit.graph, edit.node(id), quant);
  if (!after) return "input '" + edit.value(edit.node(id).inputs[0]).name + "' is quantized per channel";
  if (!quantize_pad_value(edit, id, quant, dtype, true)) return "the value it pads with has no exact quantized form";
  const std::vector<ValueId> outputs = edit.node(id).outputs;
  for (std::size_t i = 0; i < moved_inputs(edit.node(id)); ++i) {
    const ValueId x = edit.node(id).inputs[i];
    edit.set_input(id, i, edit.made_by(x, Op::DequantizeLinear)->inputs[0]);
    edit.prune(x);
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const ValueId stored = edit.add_like(outputs[i], "/quantized");
    edit.value(stored).dtype = dtype;
    edit.value(stored).quant = after;
    edit.set_output(id, i, stored);
    Attrs attrs;
    if (!after->per_tensor()) attrs.set("axis", after->axis);
    edit.add(Op::DequantizeLinear, dequantize.name, quantization_inputs(dequantize, stored), {outputs[i]}, attrs);
  }
  compute_now(edit, id, evaluate);
  return "";
}

bool is_float(Editor& edit, const Node& node) {
  return !node.outputs.empty() && edit.value(node.outputs[0]).dtype == DType::f32;
}

void lower(Editor& edit, NodeId id, const SameShape& same_shape, const Evaluator& evaluate) {
  const Op op = edit.node(id).op;
  if (drop_round_trip(edit, id) || op == Op::QuantizeLinear || op == Op::DequantizeLinear ||
      op == Op::DynamicQuantizeLinear || !is_float(edit, edit.node(id))) {
    return;
  }
  const std::string why =
      moves_elements(edit.node(id)) ? sink(edit, id, evaluate) : lower_compute(edit, id, same_shape);
  if (!why.empty()) edit.node(id).note = why;
}

bool has_qdq(const Graph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const Node& node) {
    return !node.dead && (node.op == Op::QuantizeLinear || node.op == Op::DequantizeLinear);
  });
}

}  // namespace

bool lower_qdq(Graph& graph, const Evaluator& evaluate) {
  if (!has_qdq(graph)) return false;
  Editor edit(graph);
  annotate(edit);
  const auto size = static_cast<NodeId>(graph.nodes.size());
  for (NodeId id = size; id-- > 0;) {
    if (!graph.nodes[id].dead && !graph.nodes[id].outputs.empty()) raise(edit, id);
  }
  graph.sort();
  const SameShape same_shape(graph);
  Editor again(graph);
  const auto raised = static_cast<NodeId>(graph.nodes.size());
  for (NodeId id = 0; id < raised; ++id) {
    if (!graph.nodes[id].dead) lower(again, id, same_shape, evaluate);
  }
  std::erase_if(graph.nodes, [](const Node& node) { return node.dead; });
  graph.sort();
  return true;
}

}  // namespace quaver
