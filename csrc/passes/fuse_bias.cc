// MatMul or Conv followed by Add of a constant row: the product's bias. A bias that no constant gives is an Add.
#include <algorithm>

#include "passes/passes.h"
#include "passes/rewrite.h"

namespace quaver {
namespace {

// Whether the product's weight is stored, in float or in bytes.
bool has_weight(Editor& edit, const Node& node) {
  const ValueId weight = node.inputs[1];
  if (edit.value(weight).constant()) return true;
  const Node* dequantize = edit.made_by(weight, Op::DequantizeLinear);
  return dequantize && edit.value(dequantize->inputs[0]).constant();
}

// One number for each column, and no more dimensions than the product has.
bool is_row(const Value& bias, const Value& product) {
  if (!bias.constant() || bias.dtype != DType::f32 || bias.shape.empty() || !product.ranked) return false;
  if (product.shape.empty() || bias.shape.size() > product.shape.size()) return false;
  return bias.shape.back() == product.shape.back() && count(bias.shape) == bias.shape.back();
}

bool is_clipped(const Node& node) { return node.attrs.has("lo") || node.attrs.has("hi"); }

bool fuse(Editor& edit, NodeId id) {
  if (edit.node(id).op != Op::Add || !edit.node(id).attrs.items().empty()) return false;
  for (std::size_t side = 0; side < 2; ++side) {
    const ValueId product = edit.node(id).inputs[side], bias = edit.node(id).inputs[1 - side];
    const Node* made = edit.made_by(product, Op::MatMul);
    if (!made) made = edit.made_by(product, Op::Conv);
    if (!made || !edit.single_use(product) || has_input(*made, 2) || has_input(*made, 3)) continue;
    if (edit.value(product).dtype != DType::f32 || edit.value(product).quant) continue;
    const bool plain = made->op == Op::MatMul ? made->attrs.items().empty() : !is_clipped(*made);
    if (!plain) continue;
    if (edit.value(made->inputs[1]).shape.size() < 2) continue;  // a column's result has no columns
    if (!has_weight(edit, *made) || !is_row(edit.value(bias), edit.value(product))) continue;
    const NodeId maker = edit.producer(product);
    const Value& row = edit.value(bias);
    const ValueId flat = edit.graph.add_constant(row.name, DType::f32, {row.shape.back()}, *row.data);
    remark(edit.node(maker), "with " + label(edit.node(id)));
    const ValueId sum = edit.node(id).outputs[0];
    edit.set_input(maker, 2, flat);
    edit.kill(id);
    edit.set_output(maker, 0, sum);
    return true;
  }
  return false;
}

bool part(Editor& edit, NodeId id) {
  const Op op = edit.node(id).op;
  if ((op != Op::MatMul && op != Op::Conv) || !has_input(edit.node(id), 2) || has_input(edit.node(id), 3)) return false;
  const ValueId bias = edit.node(id).inputs[2], sum = edit.node(id).outputs[0];
  if (edit.value(bias).constant() || edit.value(bias).dtype != DType::f32) return false;
  if (edit.made_by(bias, Op::DequantizeLinear)) return false;
  const ValueId product = edit.add_like(sum, "/product");
  edit.set_input(id, 2, kNone);
  edit.set_output(id, 0, product);
  edit.add(Op::Add, edit.node(id).name, {product, bias}, {sum});
  return true;
}

constexpr Rule kRules[] = {{"fuse_bias", fuse}, {"part_bias", part}};

}  // namespace

bool fuse_bias(Graph& graph, const Evaluator&) { return apply_rules(graph, kRules); }

}  // namespace quaver
