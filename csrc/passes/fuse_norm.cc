// Around LayerNormalization: the Add before it becomes its residual, and a QuantizeLinear after it its second output.
#include <algorithm>

#include "passes/passes.h"
#include "passes/quantization.h"
#include "passes/rewrite.h"
#include "passes/same_shape.h"

namespace quaver {
namespace {

bool plain_float(const Value& value) { return value.dtype == DType::f32 && !value.quant; }

bool take_residual(Editor& edit, NodeId id, const SameShape& same_shape) {
  const ValueId x = edit.node(id).inputs[0];
  const Node* add = edit.made_by(x, Op::Add);
  if (!add || has_input(edit.node(id), 3) || !edit.single_use(x) || !add->attrs.items().empty()) return false;
  const ValueId a = add->inputs[0], b = add->inputs[1];
  for (const ValueId value : {a, b, x}) {
    if (!plain_float(edit.value(value)) || !same_shape(value, x)) return false;
  }
  const NodeId adder = edit.producer(x);
  remark(edit.node(id), "with " + label(edit.node(adder)));
  edit.set_input(id, 0, a);
  edit.set_input(id, 3, b);
  edit.kill(adder);
  return true;
}

bool give_bytes(Editor& edit, NodeId id) {
  const ValueId y = edit.node(id).outputs[0];
  if (edit.node(id).outputs.size() > 1 || !plain_float(edit.value(y))) return false;
  for (const NodeId user : edit.users(y)) {
    const Node& node = edit.node(user);
    if (node.op != Op::QuantizeLinear || node.inputs[0] != y) continue;
    const Value& bytes = edit.value(node.outputs[0]);
    if (bytes.dtype != DType::u8 || !bytes.quant || !bytes.quant->per_tensor()) continue;
    const ValueId stored = node.outputs[0];
    edit.kill(user);
    if (edit.unused(y)) {
      edit.set_output(id, 0, stored);
    } else {
      edit.node(id).outputs.push_back(kNone);
      edit.set_output(id, 1, stored);
    }
    return true;
  }
  return false;
}

}  // namespace

bool fuse_norm(Graph& graph, const Evaluator&) {
  const SameShape same_shape(graph);
  Editor edit(graph);
  bool changed = false;
  for (NodeId id = 0; id < graph.nodes.size(); ++id) {
    if (graph.nodes[id].dead || graph.nodes[id].op != Op::LayerNormalization) continue;
    changed |= take_residual(edit, id, same_shape);
    changed |= give_bytes(edit, id);
  }
  if (changed) graph.sort();
  return changed;
}

}  // namespace quaver
