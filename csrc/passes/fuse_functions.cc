// Functions that exporters spell in pieces become one node again: layer normalization, GELU by erf or by tanh, swish,
// a square.
#include <algorithm>
#include <array>
#include <cmath>

#include "passes/passes.h"
#include "passes/rewrite.h"

namespace quaver {
namespace {

bool near(std::optional<float> x, double to, double within = 1e-3) {
  return x && std::fabs(*x - to) <= within * std::fabs(to);
}

// The operand of a binary node beside a constant number near `c`; kNone where there is none.
ValueId beside(Editor& edit, ValueId id, Op op, double c) {
  const Node* node = edit.made_by(id, op);
  if (!node || !node->attrs.items().empty()) return kNone;
  if (near(constant_scalar(edit.graph, node->inputs[1]), c)) return node->inputs[0];
  const bool commutes = op == Op::Add || op == Op::Mul;
  return commutes && near(constant_scalar(edit.graph, node->inputs[0]), c) ? node->inputs[1] : kNone;
}

// Roots, squares and cubes.
bool simple_power(Editor& edit, NodeId id) {
  const Node node = edit.node(id);
  if (node.op != Op::Pow || edit.value(node.inputs[0]).dtype != DType::f32) return false;
  const std::optional<float> power = constant_scalar(edit.graph, node.inputs[1]);
  const Value &x = edit.value(node.inputs[0]), &y = edit.value(node.outputs[0]);
  if (!power || !x.ranked || !y.ranked || x.shape.size() != y.shape.size()) return false;
  if (*power != 0.5F && *power != 2.0F && *power != 3.0F) return false;
  const ValueId base = node.inputs[0];
  edit.kill(id);
  if (*power == 0.5F) {
    edit.add(Op::Sqrt, node.name, {base}, {node.outputs[0]});
    return true;
  }
  ValueId square = node.outputs[0];
  if (*power == 3.0F) {
    square = edit.add_like(base, "/square");
    edit.add(Op::Mul, node.name, {square, base}, {node.outputs[0]});
  }
  edit.add(Op::Mul, node.name, {base, base}, {square});
  return true;
}

// The mean over the last axis, kept; kNone where `id` is none.
ValueId mean_of(Editor& edit, ValueId id) {
  const Node* node = edit.made_by(id, Op::ReduceMean);
  if (!node || node->attrs.i("keepdims", 1) != 1) return kNone;
  const Value& x = edit.value(node->inputs[0]);
  const std::vector<std::int64_t> axes = node->attrs.ints("axes");
  if (!x.ranked || axes.size() != 1) return kNone;
  const auto rank = static_cast<std::int64_t>(x.shape.size());
  return normalize_axis(axes[0], rank) == rank - 1 ? node->inputs[0] : kNone;
}

// x where `id` is x less its mean.
ValueId centred(Editor& edit, ValueId id) {
  const Node* node = edit.made_by(id, Op::Sub);
  return node && mean_of(edit, node->inputs[1]) == node->inputs[0] ? node->inputs[0] : kNone;
}

// epsilon where `id` is the root of x's variance and epsilon.
std::optional<float> deviation(Editor& edit, ValueId id, ValueId x) {
  const Node* root = edit.made_by(id, Op::Sqrt);
  const Node* sum = root ? edit.made_by(root->inputs[0], Op::Add) : nullptr;
  if (!sum || !sum->attrs.items().empty()) return std::nullopt;
  for (std::size_t side = 0; side < 2; ++side) {
    const std::optional<float> epsilon = constant_scalar(edit.graph, sum->inputs[1 - side]);
    const ValueId squared = epsilon ? mean_of(edit, sum->inputs[side]) : kNone;
    const Node* square = squared == kNone ? nullptr : edit.made_by(squared, Op::Mul);
    if (!square || !square->attrs.items().empty()) continue;
    if (centred(edit, square->inputs[0]) == x && centred(edit, square->inputs[1]) == x) return epsilon;
  }
  return std::nullopt;
}

// The constant row [n] that the sole user of `id`, an `op`, takes beside it; moves `id` on to that user's result.
ValueId row_after(Editor& edit, ValueId& id, NodeId& user, Op op, std::int64_t n) {
  if (!edit.single_use(id)) return kNone;
  const NodeId next = edit.users(id)[0];
  const Node& node = edit.node(next);
  if (node.op != op || !node.attrs.items().empty()) return kNone;
  const ValueId other = node.inputs[0] == id ? node.inputs[1] : node.inputs[0];
  const Value& row = edit.value(other);
  if (!row.constant() || row.dtype != DType::f32 || row.shape.empty() || row.shape.back() != n ||
      count(row.shape) != n || row.shape.size() > edit.value(id).shape.size()) {
    return kNone;
  }
  id = node.outputs[0];
  user = next;
  return other;
}

ValueId flat_row(Editor& edit, ValueId row, std::int64_t n) {
  const Value& value = edit.value(row);
  return value.shape.size() == 1 ? row : edit.graph.add_constant(value.name, DType::f32, {n}, *value.data);
}

bool fuse_layer_norm(Editor& edit, NodeId id) {
  if (edit.node(id).op != Op::Div || !edit.node(id).attrs.items().empty()) return false;
  const ValueId numerator = edit.node(id).inputs[0], divisor = edit.node(id).inputs[1];
  const ValueId x = centred(edit, numerator);
  const std::optional<float> epsilon = x == kNone ? std::nullopt : deviation(edit, divisor, x);
  if (!epsilon || edit.value(x).dtype != DType::f32) return false;
  const std::int64_t n = edit.value(x).shape.back();
  if (n < 1) return false;
  ValueId y = edit.node(id).outputs[0];
  NodeId scaled = kNone, moved = kNone;
  ValueId gamma = row_after(edit, y, scaled, Op::Mul, n);
  const ValueId beta = gamma == kNone ? kNone : row_after(edit, y, moved, Op::Add, n);
  if (gamma == kNone) gamma = add_floats(edit.graph, edit.value(y).name + "/ones", std::vector<float>(n, 1.0F));
  std::vector<ValueId> inputs{x, flat_row(edit, gamma, n)};
  if (beta != kNone) inputs.push_back(flat_row(edit, beta, n));
  Attrs attrs;
  attrs.set("axis", std::int64_t{-1});
  attrs.set("epsilon", double{*epsilon});
  const std::string name = edit.node(moved != kNone ? moved : scaled != kNone ? scaled : id).name;
  for (const NodeId fused : {moved, scaled, id}) {
    if (fused != kNone) edit.kill(fused);
  }
  edit.add(Op::LayerNormalization, name, std::move(inputs), {y}, std::move(attrs));
  edit.prune(numerator);
  edit.prune(divisor);
  return true;
}

// Whether `id` is 1 + erf(x / √2).
bool is_erf_gate(Editor& edit, ValueId id, ValueId x) {
  const ValueId erf = beside(edit, id, Op::Add, 1.0);
  const Node* node = erf == kNone ? nullptr : edit.made_by(erf, Op::Erf);
  if (!node) return false;
  return beside(edit, node->inputs[0], Op::Div, std::sqrt(2.0)) == x ||
         beside(edit, node->inputs[0], Op::Mul, std::sqrt(0.5)) == x;
}

// The coefficients of 1, x, x² and x³.
using Cubic = std::array<double, 4>;

std::optional<Cubic> product(const Cubic& a, const Cubic& b) {
  Cubic out{};
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::size_t j = 0; j < b.size(); ++j) {
      if (a[i] == 0 || b[j] == 0) continue;
      if (i + j >= out.size()) return std::nullopt;
      out[i + j] += a[i] * b[j];
    }
  }
  return out;
}

// What `id` is of x by sums, products and powers, at most `depth` of them one behind another.
std::optional<Cubic> cubic_of(Editor& edit, ValueId id, ValueId x, int depth) {
  if (id == x) return Cubic{0, 1, 0, 0};
  if (const std::optional<float> c = constant_scalar(edit.graph, id)) return Cubic{*c, 0, 0, 0};
  const NodeId maker = edit.producer(id);
  if (maker == kNone || depth == 0 || !edit.node(maker).attrs.items().empty()) return std::nullopt;
  const Node node = edit.node(maker);
  if (node.op != Op::Add && node.op != Op::Mul && node.op != Op::Pow) return std::nullopt;
  const std::optional<Cubic> a = cubic_of(edit, node.inputs[0], x, depth - 1);
  const std::optional<Cubic> b = a ? cubic_of(edit, node.inputs[1], x, depth - 1) : std::nullopt;
  if (!b) return std::nullopt;
  if (node.op == Op::Mul) return product(*a, *b);
  if (node.op == Op::Pow)
    return *a == Cubic{0, 1, 0, 0} && *b == Cubic{3, 0, 0, 0} ? std::optional(Cubic{0, 0, 0, 1}) : std::nullopt;
  Cubic sum = *a;
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += (*b)[i];
  return sum;
}

// Whether `id` is 1 + tanh(√(2/π) · (x + 0.044715 · x³)), however that is spelled.
bool is_tanh_gate(Editor& edit, ValueId id, ValueId x) {
  const ValueId tanh = beside(edit, id, Op::Add, 1.0);
  const Node* node = tanh == kNone ? nullptr : edit.made_by(tanh, Op::Tanh);
  const std::optional<Cubic> inner = node ? cubic_of(edit, node->inputs[0], x, 6) : std::nullopt;
  const double root = std::sqrt(2.0 / 3.14159265358979);
  return inner && (*inner)[0] == 0 && (*inner)[2] == 0 && near((*inner)[1], root) && near((*inner)[3], 0.044715 * root);
}

// The product of the two operands of `node` and ½ in any order: x · ½ · gate(x).
ValueId gelu_operand(Editor& edit, const Node& node, bool (*is_gate)(Editor&, ValueId, ValueId)) {
  for (std::size_t side = 0; side < 2; ++side) {
    const ValueId one = node.inputs[side], other = node.inputs[1 - side];
    if (near(constant_scalar(edit.graph, one), 0.5)) {  // ½ · (x · gate)
      const Node* inner = edit.made_by(other, Op::Mul);
      for (std::size_t i = 0; inner && i < 2; ++i) {
        if (is_gate(edit, inner->inputs[i], inner->inputs[1 - i])) return inner->inputs[1 - i];
      }
      continue;
    }
    const ValueId half = beside(edit, one, Op::Mul, 0.5);  // (½ · x) · gate, or x · (½ · gate)
    if (half == kNone) continue;
    if (is_gate(edit, other, half)) return half;
    if (is_gate(edit, half, other)) return other;
  }
  return kNone;
}

bool fuse_gelu(Editor& edit, NodeId id) {
  if (edit.node(id).op != Op::Mul || !edit.node(id).attrs.items().empty()) return false;
  if (edit.value(edit.node(id).outputs[0]).dtype != DType::f32) return false;
  ValueId x = gelu_operand(edit, edit.node(id), is_erf_gate);
  const bool exact = x != kNone;
  if (!exact) x = gelu_operand(edit, edit.node(id), is_tanh_gate);
  if (x == kNone || !edit.value(x).ranked || edit.value(x).shape != edit.value(edit.node(id).outputs[0]).shape) {
    return false;
  }
  const std::vector<ValueId> before = edit.node(id).inputs;
  edit.node(id).op = Op::Gelu;
  edit.node(id).attrs.set("approximate", std::string(exact ? "none" : "tanh"));
  edit.set_inputs(id, {x});
  for (const ValueId in : before) edit.prune(in);
  return true;
}

// What x times a gate of x is: the gate is sigmoid(x), or the hard sigmoid of x / 6 + 1/2.
std::optional<Op> swish_by(const Node& gate) {
  if (gate.op == Op::Sigmoid) return Op::Swish;
  if (gate.op != Op::HardSigmoid) return std::nullopt;
  const auto is = [&](const char* name, double usual, double to) {
    return near(static_cast<float>(gate.attrs.f(name, usual)), to, 1e-6);
  };
  return is("alpha", 0.2, 1.0 / 6.0) && is("beta", 0.5, 0.5) ? std::optional(Op::HardSwish) : std::nullopt;
}

bool fuse_swish(Editor& edit, NodeId id) {
  const Node& node = edit.node(id);
  if (node.op != Op::Mul || !node.attrs.items().empty()) return false;
  if (edit.value(node.outputs[0]).dtype != DType::f32) return false;
  for (std::size_t side = 0; side < 2; ++side) {
    const ValueId x = node.inputs[1 - side], gate = node.inputs[side];
    const NodeId maker = edit.producer(gate);
    if (maker == kNone || edit.node(maker).inputs[0] != x) continue;
    const std::optional<Op> op = swish_by(edit.node(maker));
    if (!op) continue;
    edit.node(id).op = *op;
    edit.set_inputs(id, {x});
    edit.prune(gate);
    return true;
  }
  return false;
}

constexpr Rule kRules[] = {{"simple_power", simple_power},
                           {"fuse_layer_norm", fuse_layer_norm},
                           {"fuse_gelu", fuse_gelu},
                           {"fuse_swish", fuse_swish}};

}  // namespace

bool fuse_functions(Graph& graph, const Evaluator&) { return apply_rules(graph, kRules); }

}  // namespace quaver
