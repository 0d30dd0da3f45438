// BatchNormalization is y = x · g + (B − mean · g) with g = scale / √(variance + ε): part of the weights before it,
// or else a multiplication and an addition per channel. Sums and products with constants, one or one a channel, become
// part of the weights as well.
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

void into_weights(Editor& edit, NodeId maker, NodeId norm, const Affine& affine) {
  const ValueId weight = scaled_weight(edit, edit.node(maker), affine);
  const ValueId bias = scaled_bias(edit, edit.node(maker), affine);
  const ValueId y = edit.node(norm).outputs[0];
  remark(edit.node(maker), "with " + label(edit.node(norm)));
  edit.set_input(maker, 1, weight);
  edit.set_input(maker, 2, bias);
  edit.kill(norm);
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

bool fold_arithmetic(Editor& edit, NodeId id) {
  const Node& node = edit.node(id);
  if (!is_arithmetic(node.op) || node.attrs.has("lo") || node.attrs.has("hi")) return false;
  const bool first = constant_f32(edit.graph, node.inputs[0]);
  const ValueId x = node.inputs[first ? 1 : 0], constant = node.inputs[first ? 0 : 1];
  if (!constant_f32(edit.graph, constant) || (node.op == Op::Div && first)) return false;
  const std::size_t channels = channels_of(edit, x);
  if (channels == 0 || !goes_along_channels(edit.value(constant), edit.value(x), channels)) return false;
  if (!takes_affine(edit, edit.producer(x), x, channels)) return false;
  const Affine affine = affine_of(node.op, first, floats(edit.graph, constant), channels);
  for (const double gain : affine.gain) {
    if (!std::isfinite(gain)) return false;
  }
  into_weights(edit, edit.producer(x), id, affine);
  return true;
}

bool fold(Editor& edit, NodeId id) {
  if (edit.node(id).op != Op::BatchNormalization) return false;
  for (std::size_t i = 1; i < 5; ++i) {
    if (!constant_f32(edit.graph, edit.node(id).inputs[i])) return false;
  }
  const Affine affine = affine_of(edit.graph, edit.node(id));
  const ValueId x = edit.node(id).inputs[0];
  if (takes_affine(edit, edit.producer(x), x, affine.gain.size())) {
    into_weights(edit, edit.producer(x), id, affine);
  } else {
    into_arithmetic(edit, id, affine);
  }
  return true;
}

constexpr Rule kRules[] = {{"fold_batch_norm", fold}, {"fold_arithmetic", fold_arithmetic}};

}  // namespace

bool fold_batch_norm(Graph& graph, const Evaluator&) { return apply_rules(graph, kRules); }

}  // namespace quaver
