// Transposes sink below every operator that can work on the untransposed tensor, and meet their inverses there.
// Where only one of two operands is transposed, its Transpose sinks if that makes fewer of them, the other operand's
// new one included. So each step moves transposes towards the outputs or makes fewer: it comes to an end.
#include <algorithm>

#include "graph/schema.h"
#include "passes/canonical_rules.h"
#include "passes/passes.h"
#include "passes/permute.h"
#include "passes/remap_axes.h"
#include "passes/rewrite.h"

namespace quaver {
namespace {

// free: nothing new is needed. made: a Transpose that is there already serves. transpose: a new one is needed.
enum class Way { free, made, transpose, impossible };

// One operand of a node whose Transposes by `perm` are about to sink: how it looks below them.
class Operand {
 public:
  Operand(Editor& edit, ValueId id, const Perm& perm, bool broadcasts)
      : edit_(edit), id_(id), perm_(perm), back_(inverse(perm)), broadcasts_(broadcasts) {}

  Way way() {
    const Value& value = edit_.value(id_);
    if (!value.ranked || value.shape.size() > perm_.size()) return Way::impossible;
    if (sunk() || (broadcasts_ && one_element(value))) return Way::free;
    if (value.shape.size() < perm_.size() && !(broadcasts_ && known())) return Way::impossible;
    if (known() || as_view()) return Way::free;
    return inverse_transpose() != kNone ? Way::made : Way::transpose;
  }

  // The operand below the Transposes; makes what is missing.
  ValueId get() {
    if (const Node* transpose = sunk()) return transpose->inputs[0];
    if (broadcasts_ && one_element(edit_.value(id_))) return id_;
    if (known()) return known_below();
    if (const ValueId made = inverse_transpose(); made != kNone) return made;
    const ValueId out = edit_.add_like(id_, "/permuted");
    edit_.value(out).shape = permuted(edit_.value(id_).shape, back_);
    if (as_view()) {
      const ValueId shape = add_ints(edit_.graph, edit_.value(out).name + "/shape", edit_.value(out).shape);
      edit_.add(Op::Reshape, edit_.value(id_).name, {id_, shape}, {out});
    } else {
      Attrs attrs;
      attrs.set("perm", back_);
      edit_.add(Op::Transpose, edit_.value(id_).name, {id_}, {out}, std::move(attrs));
    }
    return out;
  }

  // A Transpose that goes away when this operand is taken from below it.
  bool frees_one() { return sunk() && edit_.single_use(id_); }

 private:
  static bool one_element(const Value& value) { return value.static_shape() && count(value.shape) == 1; }

  const Node* sunk() {
    const Node* transpose = edit_.made_by(id_, Op::Transpose);
    return transpose && perm_of(edit_.graph, *transpose) == perm_ ? transpose : nullptr;
  }

  // The DequantizeLinear of a constant that makes the operand.
  const Node* dequantized() {
    const Node* node = edit_.made_by(id_, Op::DequantizeLinear);
    return node && edit_.value(node->inputs[0]).constant() ? node : nullptr;
  }

  bool known() { return edit_.value(id_).constant() || dequantized(); }

  // The Transpose it needs is a Reshape.
  bool as_view() {
    const Value& value = edit_.value(id_);
    return moves_nothing(back_, value.shape) && constant_shape(value);
  }

  ValueId inverse_transpose() {
    for (const NodeId user : edit_.users(id_)) {
      const Node& node = edit_.node(user);
      if (node.op == Op::Transpose && perm_of(edit_.graph, node) == back_) return node.outputs[0];
    }
    return kNone;
  }

  ValueId known_below() {
    if (edit_.value(id_).constant()) return transposed_constant(edit_.graph, id_, back_);
    return transposed_dequantize(edit_, edit_.producer(id_), back_);
  }

  Editor& edit_;
  ValueId id_;
  const Perm& perm_;
  Perm back_;
  bool broadcasts_;
};

// The inputs that are transposed alike; the others stay as they are.
std::size_t data_inputs(const Node& node) {
  switch (node.op) {
    case Op::Add:
    case Op::Sub:
    case Op::Mul:
    case Op::Div:
    case Op::PRelu: return 2;
    case Op::Concat: return node.inputs.size();
    default: return 1;
  }
}

// The permutation of the first Transpose among the data inputs; empty where there is none to sink.
Perm perm_above(Editor& edit, const Node& node) {
  for (std::size_t i = 0; i < data_inputs(node); ++i) {
    const Node* transpose = edit.made_by(node.inputs[i], Op::Transpose);
    if (!transpose || edit.value(transpose->inputs[0]).constant()) continue;
    Perm perm = perm_of(edit.graph, *transpose);
    if (!is_identity(perm)) return perm;
  }
  return {};
}

// Whether a Transpose by `perm` below the node would meet its inverse at each use.
bool cancels(Editor& edit, const Node& node, const Perm& perm) {
  const Perm back = inverse(perm);
  return std::all_of(node.outputs.begin(), node.outputs.end(), [&](ValueId out) {
    const std::vector<NodeId>& users = edit.users(out);
    return !edit.graph.is_output(out) && !users.empty() && std::all_of(users.begin(), users.end(), [&](NodeId user) {
      return edit.node(user).op == Op::Transpose && perm_of(edit.graph, edit.node(user)) == back;
    });
  });
}

bool pays(Editor& edit, const Node& node, std::vector<Operand>& operands, const Perm& below) {
  int made = 0, freed = 0;
  bool free = true;
  for (Operand& operand : operands) {
    const Way way = operand.way();
    if (way == Way::impossible) return false;
    free = free && way == Way::free;
    made += way == Way::transpose;
    freed += operand.frees_one();
  }
  if (free) return true;
  return cancels(edit, node, below) ? made < freed + 1 : made + 1 < freed;
}

// The node's outputs become those of Transposes of what it makes now.
void transpose_outputs(Editor& edit, NodeId id, const Perm& perm) {
  const std::vector<ValueId> outputs = edit.node(id).outputs;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const ValueId above = edit.add_like(outputs[i], "/unpermuted");
    if (edit.value(above).ranked) edit.value(above).shape = permuted(edit.value(above).shape, inverse(perm));
    edit.set_output(id, i, above);
    Attrs attrs;
    attrs.set("perm", perm);
    edit.add(Op::Transpose, edit.node(id).name, {above}, {outputs[i]}, std::move(attrs));
  }
}

bool sink(Editor& edit, NodeId id) {
  if (edit.node(id).inputs.empty() || edit.node(id).op == Op::Transpose) return false;
  const Perm perm = perm_above(edit, edit.node(id));
  if (perm.empty()) return false;
  std::optional<Remapped> remapped = remap_axes(edit.graph, edit.node(id), perm);
  if (!remapped) return false;
  std::vector<Operand> operands;
  const bool broadcasts = edit.node(id).op != Op::Concat;
  for (std::size_t i = 0; i < data_inputs(edit.node(id)); ++i) {
    operands.emplace_back(edit, edit.node(id).inputs[i], perm, broadcasts);
  }
  if (!pays(edit, edit.node(id), operands, remapped->below)) return false;
  const std::vector<ValueId> before = edit.node(id).inputs;
  for (std::size_t i = 0; i < operands.size(); ++i) remapped->inputs[i] = operands[i].get();
  edit.set_inputs(id, remapped->inputs);
  edit.node(id).attrs = remapped->attrs;
  transpose_outputs(edit, id, remapped->below);
  for (std::size_t i = 0; i < operands.size(); ++i) edit.prune(before[i]);
  return true;
}

// Stored weights are transposed as they are stored, whatever they stand for.
bool transpose_stored(Editor& edit, NodeId id) {
  if (edit.node(id).op != Op::Transpose) return false;
  const ValueId x = edit.node(id).inputs[0], y = edit.node(id).outputs[0];
  const Node* dequantize = edit.made_by(x, Op::DequantizeLinear);
  if (!dequantize || !edit.value(dequantize->inputs[0]).constant() || edit.graph.is_output(y)) return false;
  const ValueId below = transposed_dequantize(edit, edit.producer(x), perm_of(edit.graph, edit.node(id)));
  edit.replace_uses(y, below);
  edit.kill(id);
  edit.prune(x);
  return true;
}

// Inverses that meet cancel before anything looks at either of them again.
constexpr Rule kRules[] = {
    {"transpose_stored", transpose_stored},
    {"merge_transposes", merge_transposes},
    {"drop_no_op", drop_no_op},
    {"view_to_reshape", view_to_reshape},
    {"sink", sink},
};

}  // namespace

bool push_transposes(Graph& graph, const Evaluator& evaluate) {
  bool changed = false;
  for (bool again = true; again; changed |= again) {
    again = apply_rules(graph, kRules);
    again |= canonicalize(graph, evaluate);
  }
  return changed;
}

}  // namespace quaver
