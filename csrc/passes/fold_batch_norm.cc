// BatchNormalization is y = x · g + (B − mean · g) with g = scale / √(variance + ε): part of the weights before it,
// or else a multiplication and an addition per channel. Sums and products with constants, one or one a channel, become
// part of the weights as well.
#include <algorithm>
#include <cmath>

#include "passes/clamp.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

namespace quaver {
namespace {

struct Affine {
  std::vector<double> gain, offset;
};

std::span<const float> floats(const Graph& graph, ValueId id) { return graph.value(id).data->as<float>(); }

bool constant_f32(const Graph& graph, ValueId id) {
  return graph.value(id).constant() && graph.value(id).dtype == DType::f32;
}

Affine affine_of(const Graph& graph, const Node& norm) {
  const auto scale = floats(graph, norm.inputs[1]), bias = floats(graph, norm.inputs[2]);
  const auto mean = floats(graph, norm.inputs[3]), variance = floats(graph, norm.inputs[4]);
  const double epsilon = norm.attrs.f("epsilon", 1e-5);
  Affine out;
  for (std::size_t i = 0; i < scale.size(); ++i) {
    const double gain = scale[i] / std::sqrt(variance[i] + epsilon);
    out.gain.push_back(gain);
    out.offset.push_back(bias[i] - mean[i] * gain);
  }
  return out;
}

// The weight's axis of output channels.
std::size_t channel_axis(const Node& node, const Value& weight) {
  return node.op == Op::MatMul ? weight.shape.size() - 1 : 0;
}

bool takes_affine(Editor& edit, NodeId id, ValueId result, std::size_t channels) {
  if (id == kNone || !is_weighted(edit.node(id).op) || !edit.single_use(result)) return false;
  const Node& node = edit.node(id);
  if (has_input(node, 3) || node.attrs.has("lo") || node.attrs.has("hi")) return false;
  if (!constant_f32(edit.graph, node.inputs[1])) return false;
  const Value& weight = edit.value(node.inputs[1]);
  if (weight.shape.size() < 2 || (node.op == Op::MatMul && weight.shape.size() != 2)) return false;
  if (has_input(node, 2) && !constant_f32(edit.graph, node.inputs[2])) return false;
  return weight.shape[channel_axis(node, weight)] == static_cast<std::int64_t>(channels);
}

ValueId scaled_weight(Editor& edit, const Node& node, const Affine& affine) {
  const Value weight = edit.value(node.inputs[1]);
  const std::size_t channels = affine.gain.size();
  std::vector<float> out(weight.data->as<float>().begin(), weight.data->as<float>().end());
  const std::size_t inner = channel_axis(node, weight) == 0 ? out.size() / channels : 1;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<float>(out[i] * affine.gain[i / inner % channels]);
  return edit.graph.add_constant(weight.name + "/normalized", DType::f32, weight.shape, Blob::of<float>(out));
}

ValueId scaled_bias(Editor& edit, const Node& node, const Affine& affine) {
  std::vector<float> out;
  for (std::size_t i = 0; i < affine.gain.size(); ++i) {
    const double bias = has_input(node, 2) ? floats(edit.graph, node.inputs[2])[i] : 0;
    out.push_back(static_cast<float>(bias * affine.gain[i] + affine.offset[i]));
  }
  return add_floats(edit.graph, node.name + "/bias", out);
}

void into_weights(Editor& edit, NodeId maker, std::span<const NodeId> folded, const Affine& affine) {
  const ValueId weight = scaled_weight(edit, edit.node(maker), affine);
  const ValueId bias = scaled_bias(edit, edit.node(maker), affine);
  const ValueId y = edit.node(folded.back()).outputs[0];
  edit.set_input(maker, 1, weight);
  edit.set_input(maker, 2, bias);
  for (const NodeId id : folded) {
    remark(edit.node(maker), "with " + label(edit.node(id)));
    edit.kill(id);
  }
  edit.set_output(maker, 0, y);
}

void into_arithmetic(Editor& edit, NodeId norm, const Affine& affine) {
  const Node node = edit.node(norm);
  const std::vector<float> gain(affine.gain.begin(), affine.gain.end());
  const std::vector<float> offset(affine.offset.begin(), affine.offset.end());
  const ValueId scaled = edit.add_like(node.outputs[0], "/scaled");
  const ValueId g = add_floats(edit.graph, node.name + "/gain", gain);
  const ValueId b = add_floats(edit.graph, node.name + "/offset", offset);
  edit.kill(norm);
  edit.add(Op::Mul, node.name, {node.inputs[0], g}, {scaled});
  edit.add(Op::Add, node.name, {scaled, b}, {node.outputs[0]});
}

// The channels of a convolution's or product's result; 0 of anything else.
std::size_t channels_of(Editor& edit, ValueId x) {
  const NodeId maker = edit.producer(x);
  if (maker == kNone || !is_weighted(edit.node(maker).op)) return 0;
  const Value& weight = edit.value(edit.node(maker).inputs[1]);
  if (weight.shape.size() < 2 || !weight.static_shape()) return 0;
  return static_cast<std::size_t>(weight.shape[channel_axis(edit.node(maker), weight)]);
}

// Whether a constant adds no dimension to x and has one element, or one a channel.
bool goes_along_channels(const Value& constant, const Value& x, std::size_t channels) {
  if (!x.ranked || constant.shape.size() > x.shape.size()) return false;
  const auto size = static_cast<std::size_t>(count(constant.shape));
  return size == 1 || (size == channels && constant.shape.back() == static_cast<std::int64_t>(channels));
}

// x ∘ c, or c ∘ x where the constant comes `first`.
Affine affine_of(Op op, bool first, std::span<const float> c, std::size_t channels) {
  Affine out;
  for (std::size_t i = 0; i < channels; ++i) {
    const double value = c[c.size() == 1 ? 0 : i];
    const bool scales = op == Op::Mul || op == Op::Div;
    out.gain.push_back(op == Op::Mul ? value : op == Op::Div ? 1 / value : op == Op::Sub && first ? -1.0 : 1.0);
    out.offset.push_back(scales ? 0.0 : op == Op::Sub && !first ? -value : value);
  }
  return out;
}

std::optional<Affine> affine_of_arithmetic(Editor& edit, const Node& node, ValueId x, std::size_t channels) {
  if (node.attrs.has("lo") || node.attrs.has("hi")) return std::nullopt;
  const bool first = constant_f32(edit.graph, node.inputs[0]);
  const ValueId constant = node.inputs[first ? 0 : 1];
  if (node.inputs[first ? 1 : 0] != x || !constant_f32(edit.graph, constant)) return std::nullopt;
  if (node.op == Op::Div && first) return std::nullopt;
  if (!goes_along_channels(edit.value(constant), edit.value(x), channels)) return std::nullopt;
  Affine affine = affine_of(node.op, first, floats(edit.graph, constant), channels);
  if (!std::ranges::all_of(affine.gain, [](double gain) { return std::isfinite(gain); })) return std::nullopt;
  return affine;
}

bool has_constants(Editor& edit, const Node& norm) {
  return std::all_of(norm.inputs.begin() + 1, norm.inputs.begin() + 5,
                     [&](ValueId id) { return constant_f32(edit.graph, id); });
}

// What a node does to each of x's channels, where that is all it does.
std::optional<Affine> affine_of(Editor& edit, NodeId id, ValueId x, std::size_t channels) {
  const Node& node = edit.node(id);
  if (is_arithmetic(node.op)) return affine_of_arithmetic(edit, node, x, channels);
  if (node.op != Op::BatchNormalization || node.inputs[0] != x || !has_constants(edit, node)) return std::nullopt;
  Affine affine = affine_of(edit.graph, node);
  return affine.gain.size() == channels ? std::optional(affine) : std::nullopt;
}

// Whatever follows a weighted node, all at once: weights are rounded a single time.
bool fold(Editor& edit, NodeId maker) {
  if (!is_weighted(edit.node(maker).op)) return false;
  ValueId x = edit.node(maker).outputs[0];
  const std::size_t channels = channels_of(edit, x);
  if (channels == 0 || !takes_affine(edit, maker, x, channels)) return false;
  Affine all{std::vector<double>(channels, 1), std::vector<double>(channels, 0)};
  std::vector<NodeId> folded;
  while (edit.single_use(x)) {
    const NodeId next = edit.users(x)[0];
    const std::optional<Affine> affine = affine_of(edit, next, x, channels);
    if (!affine) break;
    for (std::size_t i = 0; i < channels; ++i) {
      all.gain[i] *= affine->gain[i];
      all.offset[i] = all.offset[i] * affine->gain[i] + affine->offset[i];
    }
    folded.push_back(next);
    x = edit.node(next).outputs[0];
  }
  if (folded.empty()) return false;
  into_weights(edit, maker, folded, all);
  return true;
}

// After nothing that takes it.
bool spell_out(Editor& edit, NodeId id) {
  if (edit.node(id).op != Op::BatchNormalization || !has_constants(edit, edit.node(id))) return false;
  into_arithmetic(edit, id, affine_of(edit.graph, edit.node(id)));
  return true;
}

constexpr Rule kRules[] = {{"fold_batch_norm", fold}, {"spell_out_batch_norm", spell_out}};

}  // namespace

bool fold_batch_norm(Graph& graph, const Evaluator&) { return apply_rules(graph, kRules); }

}  // namespace quaver
