// Conv or MatMul followed by Add: the other operand becomes the fourth input, added before the result is stored.
// A quantized product is then rounded once: its own output's range stays as the bounds pre_lo and pre_hi.
#include <algorithm>

#include "passes/clamp.h"
#include "passes/passes.h"
#include "passes/rewrite.h"
#include "passes/same_shape.h"

namespace quaver {
namespace {

bool quantized(const Value& value) { return value.dtype == DType::u8 && value.quant && value.quant->per_tensor(); }

// All three in float, or all three quantized.
bool same_kind(Editor& edit, ValueId product, ValueId residual, ValueId sum) {
  const Value &p = edit.value(product), &r = edit.value(residual), &s = edit.value(sum);
  if (quantized(p) && quantized(r) && quantized(s)) return true;
  const auto plain = [](const Value& value) { return value.dtype == DType::f32 && !value.quant; };
  return plain(p) && plain(r) && plain(s);
}

// The product is used by nothing else, so the residual cannot depend on it.
// A product of quantized operands whose result is float rounds nothing, and takes no float residual.
bool fusable(Editor& edit, const Node& add, ValueId product, ValueId residual, const SameShape& same_shape) {
  const NodeId maker = edit.producer(product);
  if (maker == kNone || product == residual || edit.value(residual).constant()) return false;
  const Node& node = edit.node(maker);
  if ((node.op != Op::Conv && node.op != Op::MatMul) || has_input(node, 3) || !edit.single_use(product)) return false;
  if (edit.value(node.inputs[0]).quant.has_value() != edit.value(product).quant.has_value()) return false;
  if (node.op == Op::MatMul && !edit.value(node.inputs[1]).constant()) return false;
  return same_kind(edit, product, residual, add.outputs[0]) && same_shape(product, residual);
}

void fuse(Editor& edit, NodeId add, ValueId product, ValueId residual) {
  const NodeId maker = edit.producer(product);
  Attrs& attrs = edit.node(maker).attrs;
  double lo = attrs.f("lo", -kUnbounded), hi = attrs.f("hi", kUnbounded);
  if (const std::optional<Quant>& quant = edit.value(product).quant) {
    lo = std::max(lo, (0.0 - quant->zero_point[0]) * quant->scale[0]);
    hi = std::min(hi, (255.0 - quant->zero_point[0]) * quant->scale[0]);
  }
  set_bounds(attrs, lo, hi, "pre_");
  const Node sum = edit.node(add);
  set_bounds(attrs, sum.attrs.f("lo", -kUnbounded), sum.attrs.f("hi", kUnbounded));
  remark(edit.node(maker), "with " + label(sum));
  edit.set_input(maker, 3, residual);
  edit.kill(add);
  edit.set_output(maker, 0, sum.outputs[0]);
}

bool try_fuse(Editor& edit, NodeId id, const SameShape& same_shape) {
  const Node& add = edit.node(id);
  if (add.dead || add.op != Op::Add) return false;
  ValueId first = add.inputs[0], second = add.inputs[1];
  const auto place = [&](ValueId value) { return edit.producer(value) == kNone ? 0 : edit.producer(value) + 1; };
  if (place(first) < place(second)) std::swap(first, second);  // the later product takes the earlier one's result
  for (const auto& [product, residual] : {std::pair(first, second), std::pair(second, first)}) {
    if (!fusable(edit, add, product, residual, same_shape)) continue;
    fuse(edit, id, product, residual);
    return true;
  }
  return false;
}

}  // namespace

bool fuse_residual(Graph& graph, const Evaluator&) {
  const SameShape same_shape(graph);
  Editor edit(graph);
  bool changed = false;
  for (NodeId id = 0; id < graph.nodes.size(); ++id) changed |= try_fuse(edit, id, same_shape);
  if (changed) graph.sort();
  return changed;
}

}  // namespace quaver
