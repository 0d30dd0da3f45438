// Around LayerNormalization: the Add before it becomes its residual, and a QuantizeLinear after it, with a product by a
// row before that, its second output. A Softmax that gives reals reads bytes itself.
#include <algorithm>

#include "passes/passes.h"
#include "passes/quantization.h"
#include "passes/rewrite.h"
#include "passes/same_shape.h"

namespace quaver {
namespace {

bool plain_float(const Value& value) { return value.dtype == DType::f32 && !value.quant; }

// The bytes that a value is made from by DequantizeLinear, where it is.
ValueId bytes_of(Editor& edit, ValueId id) {
  const Node* node = edit.made_by(id, Op::DequantizeLinear);
  if (!node) return id;
  const Value& stored = edit.value(node->inputs[0]);
  return stored.dtype == DType::u8 && stored.quant && stored.quant->per_tensor() ? node->inputs[0] : id;
}

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
  edit.set_input(id, 0, bytes_of(edit, a));
  edit.set_input(id, 3, bytes_of(edit, b));
  edit.kill(adder);
  edit.prune(a);
  edit.prune(b);
  return true;
}

bool becomes_bytes(Editor& edit, const Node& node, ValueId x) {
  if (node.op != Op::QuantizeLinear || node.inputs[0] != x) return false;
  const Value& bytes = edit.value(node.outputs[0]);
  return bytes.dtype == DType::u8 && bytes.quant && bytes.quant->per_tensor();
}

// The row that `node` multiplies y with, where all that uses the product is one QuantizeLinear.
ValueId factor_of(Editor& edit, const Node& node, ValueId y) {
  if (node.op != Op::Mul || !node.attrs.items().empty() || !edit.single_use(node.outputs[0])) return kNone;
  const ValueId row = node.inputs[0] == y ? node.inputs[1] : node.inputs[0];
  const Value &value = edit.value(row), &x = edit.value(y);
  if (!value.constant() || value.dtype != DType::f32 || value.shape.empty() || !x.ranked) return kNone;
  if (value.shape.size() > x.shape.size() || value.shape.back() != x.shape.back()) return kNone;
  return count(value.shape) == value.shape.back() ? row : kNone;
}

bool give_bytes(Editor& edit, NodeId id) {
  const ValueId y = edit.node(id).outputs[0];
  const std::int64_t axis = edit.node(id).attrs.i("axis", -1);
  if (edit.node(id).outputs.size() > 1 || !plain_float(edit.value(y))) return false;
  for (const NodeId user : edit.users(y)) {
    const ValueId factor = axis == -1 ? factor_of(edit, edit.node(user), y) : kNone;
    const NodeId last = factor == kNone ? user : edit.users(edit.node(user).outputs[0])[0];
    if (!becomes_bytes(edit, edit.node(last), factor == kNone ? y : edit.node(user).outputs[0])) continue;
    const ValueId stored = edit.node(last).outputs[0];
    edit.kill(last);
    if (factor != kNone) {
      edit.kill(user);
      edit.set_input(id, 4, factor);
    }
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

// Not before all shapes are known: it may be part of attention until then.
bool read_bytes(Editor& edit, NodeId id) {
  const ValueId x = edit.node(id).inputs[0], bytes = bytes_of(edit, x);
  if (bytes == x || !edit.value(x).static_shape() || !plain_float(edit.value(edit.node(id).outputs[0]))) return false;
  edit.set_input(id, 0, bytes);
  edit.prune(x);
  return true;
}

}  // namespace

bool fuse_norm(Graph& graph, const Evaluator&) {
  const SameShape same_shape(graph);
  Editor edit(graph);
  bool changed = false;
  for (NodeId id = 0; id < graph.nodes.size(); ++id) {
    if (graph.nodes[id].dead) continue;
    if (graph.nodes[id].op == Op::Softmax) changed |= read_bytes(edit, id);
    if (graph.nodes[id].op != Op::LayerNormalization) continue;
    changed |= take_residual(edit, id, same_shape);
    changed |= give_bytes(edit, id);
  }
  if (changed) graph.sort();
  return changed;
}

}  // namespace quaver
