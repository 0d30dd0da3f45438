#include "passes/lower_compute.h"

#include <cmath>

#include "base/error.h"
#include "graph/unary.h"
#include "passes/clamp.h"
#include "passes/quantization.h"

namespace quaver {
namespace {

// What lies between a node and the QuantizeLinear that takes its result.
struct Sink {
  NodeId add = kNone, clip = kNone, quantize = kNone;
  ValueId residual = kNone;  // the quantized other operand of `add`
  std::string why;
};

bool is_quantize(Editor& edit, NodeId id) {
  const Node& node = edit.node(id);
  return node.op == Op::QuantizeLinear && edit.value(node.outputs[0]).quant.has_value();
}

std::string used_as_float(Editor& edit, ValueId y) {
  const std::string output = "output '" + edit.value(y).name + "' is ";
  if (edit.graph.is_output(y)) return output + "a float output of the model";
  for (const NodeId user : edit.users(y)) {
    if (!is_quantize(edit, user)) return output + "used as float by " + label(edit.node(user));
  }
  return output + (edit.users(y).empty() ? "not used" : "quantized in several ways");
}

// The other operand of an Add that alone uses `y`, where it is quantized and of the same shape.
ValueId residual_of(Editor& edit, NodeId add, ValueId y, const SameShape& same_shape) {
  const Node& node = edit.node(add);
  if (node.op != Op::Add || node.inputs[0] == node.inputs[1]) return kNone;
  const ValueId other = node.inputs[0] == y ? node.inputs[1] : node.inputs[0];
  const ValueId stored = quantized_source(edit, other).stored;
  if (stored == kNone || edit.value(stored).constant()) return kNone;
  return same_shape(other, y) ? stored : kNone;
}

Sink sink_of(Editor& edit, NodeId id, const SameShape& same_shape) {
  Sink sink;
  const Op op = edit.node(id).op;
  ValueId y = edit.node(id).outputs[0];
  const ValueId made = y;
  const auto next = [&](ValueId from) { return edit.single_use(from) ? edit.users(from)[0] : kNone; };
  NodeId user = next(y);
  if (user != kNone && (op == Op::Conv || op == Op::MatMul) && !has_input(edit.node(id), 3)) {
    sink.residual = residual_of(edit, user, y, same_shape);
    if (sink.residual != kNone) {
      sink.add = user;
      user = next(y = edit.node(user).outputs[0]);
    }
  }
  if (user != kNone && can_clamp(op) && edit.node(user).op == Op::Clip) {
    sink.clip = user;
    user = next(y = edit.node(user).outputs[0]);
  }
  if (user != kNone && is_quantize(edit, user) && edit.node(user).inputs[0] == y) {
    sink.quantize = user;
  } else {
    sink.why = used_as_float(edit, sink.clip == kNone && sink.add == kNone ? made : y);
  }
  return sink;
}

// The node takes in what lies before the QuantizeLinear and makes its output.
void absorb(Editor& edit, NodeId id, const Sink& sink) {
  if (sink.add != kNone) {
    Attrs& attrs = edit.node(id).attrs;
    const Attrs& outer = edit.node(sink.add).attrs;
    set_bounds(attrs, attrs.f("lo", -kUnbounded), attrs.f("hi", kUnbounded), "pre_");
    set_bounds(attrs, outer.f("lo", -kUnbounded), outer.f("hi", kUnbounded));
    edit.set_input(id, 3, sink.residual);
  }
  if (sink.clip != kNone) clamp_after(edit.node(id), edit.node(sink.clip).attrs);
  for (const NodeId fused : {sink.add, sink.clip}) {
    if (fused == kNone) continue;
    remark(edit.node(id), "with " + label(edit.node(fused)));
    edit.kill(fused);
  }
  const ValueId stored = edit.node(sink.quantize).outputs[0];
  edit.kill(sink.quantize);
  edit.set_output(id, 0, stored);
}

void use_stored(Editor& edit, NodeId id, std::size_t i, ValueId stored) {
  const ValueId before = edit.node(id).inputs[i];
  edit.set_input(id, i, stored);
  edit.prune(before);
}

// A weight's stored bytes and parameters, per tensor or along the axis of output channels.
struct Weight {
  ValueId stored = kNone;
  Quant quant;
  std::size_t channels = 0;
  std::string why;
};

Weight weight_of(Editor& edit, const Node& node) {
  const ValueId id = node.inputs[1];
  const std::string named = "weight '" + edit.value(id).name + "' is ";
  const Node* dequantize = edit.made_by(id, Op::DequantizeLinear);
  if (!dequantize) return {.quant = {}, .why = named + "float: it is not quantized"};
  const Value& stored = edit.value(dequantize->inputs[0]);
  if (!is_byte(stored.dtype))
    return {.quant = {}, .why = text(named, "quantized to ", name_of(stored.dtype), ", not to 8 bits")};
  if (!stored.constant()) return {.quant = {}, .why = named + "computed at run time"};
  const std::optional<Quant> quant = quant_of(edit.graph, *dequantize);
  if (!quant) return {.quant = {}, .why = named + "quantized with parameters computed at run time"};
  if (stored.shape.empty()) return {.quant = {}, .why = named + "a scalar"};
  const std::size_t axis = node.op == Op::MatMul ? stored.shape.size() - 1 : 0;
  if (!quant->per_tensor() && quant->axis != static_cast<std::int64_t>(axis)) {
    return {.quant = {}, .why = text(named, "quantized along axis ", quant->axis, ", not along its output channels")};
  }
  return {dequantize->inputs[0], *quant, static_cast<std::size_t>(stored.shape[axis]), ""};
}

// The reals a bias stands for: a float constant, or a dequantized one.
std::optional<std::vector<double>> bias_reals(Editor& edit, ValueId id) {
  const Node* dequantize = edit.made_by(id, Op::DequantizeLinear);
  const Value& value = edit.value(dequantize ? dequantize->inputs[0] : id);
  if (!value.constant()) return std::nullopt;
  if (!dequantize) {
    if (value.dtype != DType::f32) return std::nullopt;
    return std::vector<double>(value.data->as<float>().begin(), value.data->as<float>().end());
  }
  const std::optional<Quant> quant = quant_of(edit.graph, *dequantize);
  if (!quant) return std::nullopt;
  std::vector<double> out;
  const auto append = [&](auto items) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      const std::size_t c = quant->per_tensor() ? 0 : i % quant->scale.size();
      out.push_back((double{1} * items[i] - quant->zero_point[c]) * double{quant->scale[c]});
    }
  };
  switch (value.dtype) {
    case DType::i32: append(value.data->as<std::int32_t>()); break;
    case DType::s8: append(value.data->as<std::int8_t>()); break;
    case DType::u8: append(value.data->as<std::uint8_t>()); break;
    default: return std::nullopt;
  }
  return out;
}

// bias / (x scale · weight scale), an int32 constant; the id stays kNone, with the reason, where it is none.
Source quantized_bias(Editor& edit, ValueId bias, const Quant& x, const Weight& weight) {
  const std::string named = "bias '" + edit.value(bias).name + "' ";
  const auto reals = bias_reals(edit, bias);
  if (!reals) return {kNone, named + "is computed at run time"};
  if (reals->size() != weight.channels && reals->size() != 1)
    return {kNone, named + "has another size than the channels"};
  Quant quant{{}, std::vector<std::int32_t>(weight.quant.scale.size(), 0), weight.quant.per_tensor() ? -1 : 0};
  for (const float scale : weight.quant.scale) quant.scale.push_back(x.scale[0] * scale);
  std::vector<std::int32_t> out;
  for (std::size_t c = 0; c < weight.channels; ++c) {
    const double scale = weight.quant.scale[weight.quant.per_tensor() ? 0 : c];
    const double step = std::nearbyint((*reals)[reals->size() == 1 ? 0 : c] / (double{x.scale[0]} * scale));
    if (!(std::abs(step) <= INT32_MAX)) return {kNone, named + "does not fit int32 at the scale of input · weight"};
    out.push_back(static_cast<std::int32_t>(step));
  }
  for (const float scale : quant.scale) {
    if (!(scale > 0 && std::isfinite(scale)))
      return {kNone, named + "has a scale (input · weight) outside float's range"};
  }
  const ValueId id = edit.graph.add_constant(edit.value(bias).name, DType::i32, {static_cast<std::int64_t>(out.size())},
                                             Blob::of<std::int32_t>(out));
  edit.value(id).quant = std::move(quant);
  return {id, ""};
}

// MatMul of two activations.
std::string lower_product(Editor& edit, NodeId id, const Source& a, const SameShape& same_shape) {
  const Source b = quantized_source(edit, edit.node(id).inputs[1]);
  if (b.stored == kNone) return b.why;
  if (has_input(edit.node(id), 2)) return "it has a bias and no constant weight";
  const Sink sink = sink_of(edit, id, same_shape);
  if (sink.quantize != kNone) absorb(edit, id, sink);
  use_stored(edit, id, 0, a.stored);
  use_stored(edit, id, 1, b.stored);
  return "";
}

bool constant_source(Editor& edit, ValueId id) {
  const Node* dequantize = edit.made_by(id, Op::DequantizeLinear);
  return dequantize ? edit.value(dequantize->inputs[0]).constant() : edit.value(id).constant();
}

// Whether the sums of a node's bytes may become floats.
bool leaves_sums(const Node& node) { return node.op == Op::MatMul || node.op == Op::Conv; }

std::string lower_weighted(Editor& edit, NodeId id, const SameShape& same_shape) {
  const Source x = quantized_source(edit, edit.node(id).inputs[0]);
  if (x.stored == kNone) return x.why;
  if (edit.node(id).op == Op::MatMul && !constant_source(edit, edit.node(id).inputs[1])) {
    return lower_product(edit, id, x, same_shape);
  }
  const Weight weight = weight_of(edit, edit.node(id));
  if (weight.stored == kNone) return weight.why;
  Source bias;
  if (has_input(edit.node(id), 2)) {
    bias = quantized_bias(edit, edit.node(id).inputs[2], *edit.value(x.stored).quant, weight);
    if (bias.stored == kNone) return bias.why;
  }
  const Sink sink = sink_of(edit, id, same_shape);
  if (sink.quantize == kNone && !leaves_sums(edit.node(id))) return sink.why;
  if (sink.quantize != kNone) absorb(edit, id, sink);
  use_stored(edit, id, 0, x.stored);
  use_stored(edit, id, 1, add_weight(edit.graph, weight.stored, weight.quant));
  if (bias.stored != kNone) use_stored(edit, id, 2, bias.stored);
  return "";
}

// The first `n` inputs are activations; those after them stay as they are.
std::string lower_activations(Editor& edit, NodeId id, std::size_t n, const SameShape& same_shape) {
  std::vector<ValueId> stored;
  for (std::size_t i = 0; i < n; ++i) {
    const Source source = quantized_source(edit, edit.node(id).inputs[i]);
    if (source.stored == kNone) return source.why;
    stored.push_back(source.stored);
  }
  const Sink sink = sink_of(edit, id, same_shape);
  if (sink.quantize == kNone) return sink.why;
  absorb(edit, id, sink);
  for (std::size_t i = 0; i < n; ++i) use_stored(edit, id, i, stored[i]);
  return "";
}

// Bytes or floats in and out, whichever there are.
std::string lower_norm(Editor& edit, NodeId id, const SameShape& same_shape) {
  const Source source = quantized_source(edit, edit.node(id).inputs[0]);
  const Sink sink = sink_of(edit, id, same_shape);
  if (source.stored == kNone && sink.quantize == kNone) return source.why;
  if (sink.quantize != kNone) absorb(edit, id, sink);
  if (source.stored != kNone) use_stored(edit, id, 0, source.stored);
  return "";
}

std::string lower_prelu(Editor& edit, NodeId id, const SameShape& same_shape) {
  if (!constant_source(edit, edit.node(id).inputs[1])) return "its slope is computed at run time";
  return lower_activations(edit, id, 1, same_shape);
}

}  // namespace

std::string lower_compute(Editor& edit, NodeId id, const SameShape& same_shape) {
  const Op op = edit.node(id).op;
  if (is_weighted(op)) return lower_weighted(edit, id, same_shape);
  if (is_arithmetic(op)) return lower_activations(edit, id, 2, same_shape);
  if (is_unary(op)) return lower_activations(edit, id, 1, same_shape);
  switch (op) {
    case Op::PRelu: return lower_prelu(edit, id, same_shape);
    case Op::LayerNormalization: return lower_norm(edit, id, same_shape);
    case Op::AveragePool:
    case Op::ReduceMean:
    case Op::ReduceMax:
    case Op::ReduceSum:
    case Op::Softmax:
    case Op::Resize: return lower_activations(edit, id, 1, same_shape);
    default: return text(name_of(op), " has no quantized form");
  }
}

}  // namespace quaver
