// MatMulInteger, Cast, Mul by the scales of both operands and Add of a bias, as dynamic quantization leaves them,
// become one product that gives reals.
#include "passes/passes.h"
#include "passes/rewrite.h"

namespace quaver {
namespace {

// The one node that uses `id`, where it is an `op` without attributes.
const Node* sole_user(Editor& edit, ValueId id, Op op) {
  if (!edit.single_use(id)) return nullptr;
  const Node& user = edit.node(edit.users(id)[0]);
  return user.op == op && (op == Op::Cast || user.attrs.items().empty()) ? &user : nullptr;
}

bool is_row(const Value& value, std::int64_t n) {
  if (!value.constant() || value.dtype != DType::f32) return false;
  const std::int64_t size = count(value.shape);
  return size == 1 || (size == n && value.shape.back() == n);
}

// The scales that a product's sums are multiplied by: one number known at run time and constants, in either order.
bool find_scales(Editor& edit, ValueId id, std::int64_t n, ValueId& a, ValueId& b) {
  const Node* node = edit.made_by(id, Op::Mul);
  if (!node || !node->attrs.items().empty()) return false;
  for (std::size_t side = 0; side < 2; ++side) {
    const Value &one = edit.value(node->inputs[side]), &row = edit.value(node->inputs[1 - side]);
    if (one.dtype != DType::f32 || !one.static_shape() || count(one.shape) != 1 || !is_row(row, n)) continue;
    a = node->inputs[side];
    b = node->inputs[1 - side];
    return true;
  }
  return false;
}

ValueId beside(const Node& node, ValueId id) { return node.inputs[node.inputs[0] == id ? 1 : 0]; }

bool fuse(Editor& edit, NodeId id) {
  const Node& product = edit.node(id);
  if (product.op != Op::MatMulInteger || edit.value(product.inputs[0]).dtype != DType::u8) return false;
  const Value& weight = edit.value(product.inputs[1]);
  if (!weight.constant() || weight.shape.size() != 2) return false;
  if (has_input(product, 3) && !edit.value(product.inputs[3]).constant()) return false;
  const Value& sums = edit.value(product.outputs[0]);
  if (!sums.ranked || sums.shape.size() < 2) return false;
  const std::int64_t n = weight.shape[1];
  const Node* cast = sole_user(edit, product.outputs[0], Op::Cast);
  if (!cast || edit.value(cast->outputs[0]).dtype != DType::f32) return false;
  const Node* mul = sole_user(edit, cast->outputs[0], Op::Mul);
  ValueId a_scale = kNone, b_scale = kNone;
  if (!mul || !find_scales(edit, beside(*mul, cast->outputs[0]), n, a_scale, b_scale)) return false;
  ValueId y = mul->outputs[0], bias = kNone;
  const NodeId multiplied = edit.producer(y), converted = edit.producer(cast->outputs[0]);
  NodeId added = kNone;
  if (const Node* add = sole_user(edit, y, Op::Add)) {
    const ValueId row = beside(*add, y);
    if (is_row(edit.value(row), n) && edit.value(row).shape.size() <= sums.shape.size()) {
      bias = row;
      y = add->outputs[0];
      added = edit.producer(y);
    }
  }
  const auto input = [&](std::size_t i) { return has_input(product, i) ? product.inputs[i] : kNone; };
  std::vector<ValueId> inputs{product.inputs[0], product.inputs[1], a_scale, b_scale, input(2), input(3), bias};
  const std::string name = product.name;
  const ValueId scales = beside(*mul, edit.node(converted).outputs[0]);
  for (const NodeId fused : {added, multiplied, converted, id}) {
    if (fused != kNone) edit.kill(fused);
  }
  edit.add(Op::MatMulIntegerToFloat, name, std::move(inputs), {y});
  edit.prune(scales);
  return true;
}

constexpr Rule kRules[] = {{"fuse_dynamic", fuse}};

}  // namespace

bool fuse_dynamic(Graph& graph, const Evaluator&) { return apply_rules(graph, kRules); }

}  // namespace quaver
