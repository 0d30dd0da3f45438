#include "passes/remap_axes.h"

#include <algorithm>

#include "graph/unary.h"

namespace quaver {
namespace {

std::int64_t mapped(std::int64_t axis, const Perm& perm) {
  return perm[normalize_axis(axis, static_cast<std::int64_t>(perm.size()))];
}

std::vector<std::int64_t> mapped(std::vector<std::int64_t> axes, const Perm& perm) {
  for (std::int64_t& axis : axes) axis = mapped(axis, perm);
  return axes;
}

// `perm` of the dimensions that remain when those marked (before the transpose) are dropped.
Perm without(const Perm& perm, const std::vector<bool>& dropped) {
  Perm position(perm.size()), out;
  for (std::size_t axis = 1; axis < perm.size(); ++axis) position[axis] = position[axis - 1] + !dropped[axis - 1];
  for (const std::int64_t axis : perm) {
    if (!dropped[axis]) out.push_back(position[axis]);
  }
  return out;
}

using Result = std::optional<Remapped>;

Result with_axis(Remapped out, const Perm& perm, std::int64_t otherwise) {
  out.attrs.set("axis", mapped(out.attrs.i("axis", otherwise), perm));
  return out;
}

Result quantization(const Graph& graph, Remapped out, const Perm& perm) {
  const Value& scale = graph.value(out.inputs[1]);
  if (!scale.static_shape()) return std::nullopt;
  if (count(scale.shape) == 1) return out;
  return with_axis(std::move(out), perm, 1);
}

Result reduce(Remapped out, const Perm& perm) {
  const std::vector<std::int64_t> axes = mapped(out.attrs.ints("axes"), perm);
  if (axes.empty()) return std::nullopt;
  out.attrs.set("axes", axes);
  if (out.attrs.i("keepdims", 1)) return out;
  std::vector<bool> dropped(perm.size(), false);
  for (const std::int64_t axis : axes) dropped[axis] = true;
  out.below = without(perm, dropped);
  return out;
}

Result gather(const Graph& graph, Remapped out, const Perm& perm) {
  const Value& indices = graph.value(out.inputs[1]);
  if (!indices.ranked || indices.shape.size() > 1) return std::nullopt;
  const std::int64_t axis = mapped(out.attrs.i("axis", 0), perm);
  out.attrs.set("axis", axis);
  if (indices.shape.size() == 1) return out;
  std::vector<bool> dropped(perm.size(), false);
  dropped[axis] = true;
  out.below = without(perm, dropped);
  return out;
}

// The axes a Slice works on: given, or the first ones.
std::optional<std::vector<std::int64_t>> slice_axes(const Graph& graph, const Remapped& node) {
  if (node.inputs.size() > 3 && node.inputs[3] != kNone) return constant_ints(graph, node.inputs[3]);
  const Value& starts = graph.value(node.inputs[1]);
  if (!starts.static_shape()) return std::nullopt;
  std::vector<std::int64_t> axes(count(starts.shape));
  for (std::size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<std::int64_t>(i);
  return axes;
}

Result slice(Graph& graph, Remapped out, const Perm& perm) {
  const auto axes = slice_axes(graph, out);
  if (!axes) return std::nullopt;
  if (out.inputs.size() < 4) out.inputs.resize(4, kNone);
  out.inputs[3] = add_ints(graph, "axes", mapped(*axes, perm));
  return out;
}

Result pad(Graph& graph, Remapped out, const Perm& perm) {
  const auto pads = constant_ints(graph, out.inputs[1]);
  if (!pads) return std::nullopt;
  std::vector<std::int64_t> axes(perm.size());
  if (out.inputs.size() > 3 && out.inputs[3] != kNone) {
    const auto given = constant_ints(graph, out.inputs[3]);
    if (!given) return std::nullopt;
    axes = *given;
  } else {
    for (std::size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<std::int64_t>(i);
  }
  const std::size_t rank = perm.size();
  std::vector<std::int64_t> all(2 * rank, 0);
  for (std::size_t i = 0; i < axes.size(); ++i) {
    all[mapped(axes[i], perm)] = (*pads)[i];
    all[rank + mapped(axes[i], perm)] = (*pads)[axes.size() + i];
  }
  out.inputs[1] = add_ints(graph, "pads", all);
  if (out.inputs.size() > 3) out.inputs[3] = kNone;
  return out;
}

// A Reshape that only drops dimensions of 1.
Result squeezed(Graph& graph, const Node& node, Remapped out, const Perm& perm) {
  const Value &x = graph.value(node.inputs[0]), &y = graph.value(node.outputs[0]);
  if (!x.ranked || x.shape.size() != perm.size() || !constant_shape(y)) return std::nullopt;
  std::vector<bool> dropped(perm.size(), true);  // by the axes before the transpose
  std::size_t kept = 0;
  for (std::size_t i = 0; i < perm.size(); ++i) {
    if (kept < y.shape.size() && x.shape[i] == y.shape[kept]) {
      dropped[perm[i]] = false;
      ++kept;
    } else if (x.shape[i] != 1) {
      return std::nullopt;
    }
  }
  if (kept != y.shape.size()) return std::nullopt;
  out.below = without(perm, dropped);
  out.inputs[1] = add_ints(graph, "shape", permuted(*constant_shape(y), inverse(out.below)));
  return out;
}

}  // namespace

std::optional<Remapped> remap_axes(Graph& graph, const Node& node, const Perm& perm) {
  Remapped same{node.inputs, node.attrs, perm};
  if (is_unary(node.op)) return same;
  switch (node.op) {
    case Op::Add:
    case Op::Sub:
    case Op::Mul:
    case Op::Div:
    case Op::PRelu:
    case Op::Cast:
    case Op::Identity:
    case Op::Table:
    case Op::FlipSign: return same;
    case Op::QuantizeLinear:
    case Op::DequantizeLinear: return quantization(graph, std::move(same), perm);
    case Op::Softmax: return with_axis(std::move(same), perm, -1);
    case Op::Concat:
    case Op::Split: return with_axis(std::move(same), perm, 0);
    case Op::ReduceMean:
    case Op::ReduceMax:
    case Op::ReduceSum: return reduce(std::move(same), perm);
    case Op::Gather: return gather(graph, std::move(same), perm);
    case Op::Reshape: return squeezed(graph, node, std::move(same), perm);
    case Op::Slice: return slice(graph, std::move(same), perm);
    case Op::Pad: return pad(graph, std::move(same), perm);
    default: return std::nullopt;
  }
}

ValueId transposed_constant(Graph& graph, ValueId id, const Perm& perm) {
  const Value value = graph.value(id);
  Dims shape(perm.size() - value.shape.size(), 1);
  shape.insert(shape.end(), value.shape.begin(), value.shape.end());
  const ValueId out = graph.add_constant(value.name + "/permuted", value.dtype, permuted(shape, perm),
                                         permuted(*value.data, size_of(value.dtype), shape, perm));
  return out;
}

ValueId transposed_dequantize(Editor& edit, NodeId id, const Perm& perm) {
  const Node node = edit.node(id);
  const Value stored = edit.value(node.inputs[0]);
  std::vector<ValueId> inputs = node.inputs;
  inputs[0] = transposed_constant(edit.graph, inputs[0], perm);
  Attrs attrs = node.attrs;
  const auto added = static_cast<std::int64_t>(perm.size() - stored.shape.size());
  if (edit.value(inputs[1]).shape.size() == 1 && !stored.shape.empty()) {
    const std::int64_t axis = normalize_axis(attrs.i("axis", 1), static_cast<std::int64_t>(stored.shape.size()));
    attrs.set("axis", inverse(perm)[axis + added]);
  }
  const ValueId out = edit.add_like(node.outputs[0], "/permuted");
  edit.value(out).shape = edit.value(inputs[0]).shape;
  edit.value(out).ranked = true;
  edit.add(Op::DequantizeLinear, node.name, inputs, {out}, attrs);
  return out;
}

}  // namespace quaver
