// One spelling for each thing: what does nothing goes away, views become Reshape, repeated moves become one.
#include <algorithm>

#include "graph/schema.h"
#include "graph/unary.h"
#include "passes/canonical_rules.h"
#include "passes/clamp.h"
#include "passes/passes.h"
#include "passes/permute.h"
#include "passes/rewrite.h"

namespace quaver {
namespace {

// The same sizes for certain: one unknown dimension follows from the number of elements.
bool same_shape(const Value& a, const Value& b) {
  return a.ranked && b.ranked && a.shape == b.shape && std::count(a.shape.begin(), a.shape.end(), kDynamic) <= 1;
}

bool all_equal(const std::optional<std::vector<std::int64_t>>& items, std::int64_t to) {
  return items && std::all_of(items->begin(), items->end(), [&](std::int64_t item) { return item == to; });
}

bool takes_all(const Graph& graph, const Node& slice) {
  const Value &x = graph.value(slice.inputs[0]), &y = graph.value(slice.outputs[0]);
  if (has_input(slice, 4) && !all_equal(constant_ints(graph, slice.inputs[4]), 1)) return false;
  if (x.static_shape() && y.static_shape() && x.shape == y.shape) return true;
  const auto ends = constant_ints(graph, slice.inputs[2]);
  const auto axes = has_input(slice, 3) ? constant_ints(graph, slice.inputs[3]) : std::nullopt;
  if (!all_equal(constant_ints(graph, slice.inputs[1]), 0) || !ends || (has_input(slice, 3) && !axes)) return false;
  for (std::size_t i = 0; i < ends->size(); ++i) {
    if ((*ends)[i] >= INT32_MAX) continue;
    if (!x.ranked) return false;
    const auto axis = axes ? normalize_axis((*axes)[i], static_cast<std::int64_t>(x.shape.size())) : std::int64_t(i);
    if (x.shape[axis] == kDynamic || (*ends)[i] < x.shape[axis]) return false;
  }
  return true;
}

bool does_nothing(const Graph& graph, const Node& node) {
  const Value &x = graph.value(node.inputs[0]), &y = graph.value(node.outputs[0]);
  switch (node.op) {
    case Op::Identity: return true;
    case Op::Cast: return x.dtype == y.dtype;
    case Op::Expand: return x.static_shape() && y.static_shape() && x.shape == y.shape;
    case Op::Reshape: return same_shape(x, y);
    case Op::Transpose: {
      const Perm perm = perm_of(graph, node);
      return !perm.empty() && is_identity(perm);
    }
    case Op::Slice: return takes_all(graph, node);
    case Op::Pad: return all_equal(constant_ints(graph, node.inputs[1]), 0);
    case Op::Clip: return !node.attrs.has("lo") && !node.attrs.has("hi");
    case Op::Concat: return node.inputs.size() == 1;
    case Op::Split: return node.outputs.size() == 1;
    default: return false;
  }
}

bool is_view(const Graph& graph, const Node& node) {
  switch (node.op) {
    case Op::Flatten:
    case Op::Squeeze:
    case Op::Unsqueeze: return true;
    case Op::Transpose: {
      const Value& x = graph.value(node.inputs[0]);
      return x.ranked && moves_nothing(perm_of(graph, node), x.shape);
    }
    default: return false;
  }
}

void make_reshape(Editor& edit, NodeId id, ValueId x, const std::vector<std::int64_t>& shape) {
  const ValueId to = add_ints(edit.graph, edit.value(edit.node(id).outputs[0]).name + "/shape", shape);
  edit.node(id).op = Op::Reshape;
  edit.node(id).attrs = {};
  edit.set_inputs(id, {x, to});
}

bool merge_reshapes(Editor& edit, NodeId id) {
  if (edit.node(id).op != Op::Reshape) return false;
  const Node* first = edit.made_by(edit.node(id).inputs[0], Op::Reshape);
  const auto shape = constant_shape(edit.value(edit.node(id).outputs[0]));
  if (!first || !shape) return false;
  const ValueId between = edit.node(id).inputs[0];
  make_reshape(edit, id, first->inputs[0], *shape);
  edit.prune(between);
  return true;
}

bool same_result(Editor& edit, const Node& a, const Node& b) {
  const Value &x = edit.value(a.outputs[0]), &y = edit.value(b.outputs[0]);
  return a.op == b.op && a.inputs == b.inputs && a.outputs.size() == 1 && b.outputs.size() == 1 &&
         a.attrs.items() == b.attrs.items() && x.dtype == y.dtype && x.quant == y.quant;
}

// The side of `node` that a view may leave: of a function of single elements, or one that takes a constant for each of
// the last axis, which the view keeps. Nothing where that is another node.
std::optional<std::size_t> viewed_side(Editor& edit, const Node& node) {
  if (is_unary(node.op)) return 0;
  if (!is_arithmetic(node.op)) return std::nullopt;
  const std::size_t side = edit.value(node.inputs[0]).constant() ? 1 : 0;
  const Node* view = edit.made_by(node.inputs[side], Op::Reshape);
  const Value &row = edit.value(node.inputs[1 - side]), &y = edit.value(node.outputs[0]);
  if (!view || !row.constant() || row.shape.empty() || count(row.shape) != row.shape.back()) return std::nullopt;
  const Value &x = edit.value(view->inputs[0]), &seen = edit.value(node.inputs[side]);
  const auto last = [&](const Value& value) {
    return value.ranked && !value.shape.empty() && value.shape.back() == row.shape.back();
  };
  const bool fits = row.shape.size() <= x.shape.size() && y.ranked && y.shape == seen.shape;
  return last(x) && last(seen) && fits ? std::optional(side) : std::nullopt;
}

// A view goes behind such a node, which then meets the one that makes what is viewed.
bool sink_view(Editor& edit, NodeId id) {
  const auto side = viewed_side(edit, edit.node(id));
  const ValueId viewed = side ? edit.node(id).inputs[*side] : kNone;
  if (viewed == kNone || !edit.made_by(viewed, Op::Reshape) || !edit.single_use(viewed)) return false;
  const NodeId view = edit.producer(viewed);
  const ValueId x = edit.node(view).inputs[0], y = edit.node(id).outputs[0];
  if (edit.value(x).dtype != edit.value(viewed).dtype || edit.value(x).quant != edit.value(viewed).quant) return false;
  const ValueId made = edit.add_like(x, "/" + std::string(name_of(edit.node(id).op)));
  edit.value(made).dtype = edit.value(y).dtype;
  edit.value(made).quant = edit.value(y).quant;
  edit.set_input(id, *side, x);
  edit.set_output(id, 0, made);
  edit.set_input(view, 0, made);
  edit.set_output(view, 0, y);
  return true;
}

// A node that computes what an earlier one does.
bool drop_repeated(Editor& edit, NodeId id) {
  if (edit.node(id).inputs.empty() || edit.graph.is_output(edit.node(id).outputs[0])) return false;
  for (const NodeId other : edit.users(edit.node(id).inputs[0])) {
    if (other < id && same_result(edit, edit.node(other), edit.node(id))) {
      return edit.bypass(id, edit.node(other).outputs[0]);
    }
  }
  return false;
}

}  // namespace

bool drop_no_op(Editor& edit, NodeId id) {
  return does_nothing(edit.graph, edit.node(id)) && edit.bypass(id, edit.node(id).inputs[0]);
}

bool view_to_reshape(Editor& edit, NodeId id) {
  const Node& node = edit.node(id);
  if (!is_view(edit.graph, node)) return false;
  const auto shape = constant_shape(edit.value(node.outputs[0]));
  if (!shape) return false;
  make_reshape(edit, id, node.inputs[0], *shape);
  return true;
}

bool merge_transposes(Editor& edit, NodeId id) {
  if (edit.node(id).op != Op::Transpose) return false;
  const ValueId between = edit.node(id).inputs[0];
  const Node* first = edit.made_by(between, Op::Transpose);
  if (!first) return false;
  const Perm a = perm_of(edit.graph, *first), b = perm_of(edit.graph, edit.node(id));
  if (a.empty() || a.size() != b.size()) return false;
  edit.node(id).attrs.set("perm", composed(a, b));
  edit.set_input(id, 0, first->inputs[0]);
  edit.prune(between);
  return true;
}

bool canonicalize(Graph& graph, const Evaluator&) {
  static constexpr Rule kRules[] = {
      {"drop_no_op", drop_no_op},         {"view_to_reshape", view_to_reshape},
      {"merge_reshapes", merge_reshapes}, {"merge_transposes", merge_transposes},
      {"drop_repeated", drop_repeated},   {"sink_view", sink_view},
  };
  return apply_rules(graph, kRules);
}

}  // namespace quaver
