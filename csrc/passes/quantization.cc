#include "passes/quantization.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace quaver {
namespace {

std::optional<std::vector<std::int32_t>> zero_points(const Value& value) {
  if (!value.constant()) return std::nullopt;
  const auto copy = [](auto items) { return std::vector<std::int32_t>(items.begin(), items.end()); };
  switch (value.dtype) {
    case DType::u8: return copy(value.data->as<std::uint8_t>());
    case DType::s8: return copy(value.data->as<std::int8_t>());
    case DType::i32: return copy(value.data->as<std::int32_t>());
    default: return std::nullopt;
  }
}

std::int64_t product(const Dims& dims, std::size_t n) {
  std::int64_t out = 1;
  for (std::size_t i = 0; i < n; ++i) out *= dims[i];
  return out;
}

// The axis of the reshaped tensor that is `axis` of the one before; -1 where there is none.
std::int64_t reshaped_axis(const Dims& from, const Dims& to, std::size_t axis) {
  if (!is_static(from) || !is_static(to)) return -1;
  const std::int64_t outer = product(from, axis);
  for (std::size_t i = 0; i < to.size(); ++i) {
    if (product(to, i) == outer && to[i] == from[axis]) return static_cast<std::int64_t>(i);
  }
  return -1;
}

}  // namespace

std::optional<Quant> quant_of(const Graph& graph, const Node& node) {
  const Value& scale = graph.value(node.inputs[1]);
  if (!scale.constant() || scale.dtype != DType::f32) return std::nullopt;
  Quant out;
  out.scale.assign(scale.data->as<float>().begin(), scale.data->as<float>().end());
  out.zero_point.assign(out.scale.size(), 0);
  if (has_input(node, 2)) {
    const auto zero = zero_points(graph.value(node.inputs[2]));
    if (!zero || zero->size() != out.scale.size()) return std::nullopt;
    out.zero_point = *zero;
  }
  if (out.per_tensor()) return out;
  const Value& x = graph.value(node.inputs[0]);
  if (!x.ranked) return std::nullopt;
  out.axis = normalize_axis(node.attrs.i("axis", 1), static_cast<std::int64_t>(x.shape.size()));
  return out;
}

bool moves_elements(const Node& node) {
  switch (node.op) {
    case Op::MaxPool:
    case Op::Concat:
    case Op::Split:
    case Op::Slice:
    case Op::Reshape:
    case Op::Transpose:
    case Op::Flatten:
    case Op::Squeeze:
    case Op::Unsqueeze:
    case Op::Pad:
    case Op::Gather:
    case Op::Identity: return true;
    case Op::Resize:
      return node.attrs.s("mode", "nearest") == "nearest" &&
             node.attrs.s("coordinate_transformation_mode") != "tf_crop_and_resize";
    default: return false;
  }
}

std::size_t moved_inputs(const Node& node) { return node.op == Op::Concat ? node.inputs.size() : 1; }

std::optional<Quant> quant_after(const Graph& graph, const Node& move, const Quant& quant) {
  if (quant.per_tensor()) return quant;
  const Value &x = graph.value(move.inputs[0]), &y = graph.value(move.outputs[0]);
  Quant out = quant;
  out.axis = -1;
  switch (move.op) {
    case Op::Transpose: {
      const std::vector<std::int64_t> perm = move.attrs.ints("perm");
      out.axis = std::find(perm.begin(), perm.end(), quant.axis) - perm.begin();
      if (out.axis == static_cast<std::int64_t>(perm.size())) return std::nullopt;
      return out;
    }
    case Op::Reshape:
    case Op::Flatten:
    case Op::Squeeze:
    case Op::Unsqueeze:
      if (x.ranked && y.ranked) out.axis = reshaped_axis(x.shape, y.shape, static_cast<std::size_t>(quant.axis));
      break;
    case Op::Identity: return quant;
    default: break;
  }
  if (out.axis < 0) return std::nullopt;
  return out;
}

std::uint8_t quantize(double x, const Quant& quant, DType dtype) {
  const double low = dtype == DType::s8 ? -128 : 0, zero = quant.zero_point[0];
  const double y = x / double{quant.scale[0]};
  const double step = std::isnan(y) ? 0 : std::nearbyint(std::clamp(y, low - zero, low + 255 - zero));
  return static_cast<std::uint8_t>(static_cast<std::int32_t>(step + zero));
}

Blob flipped(const Blob& data) {
  std::vector<std::uint8_t> out(data.as<std::uint8_t>().begin(), data.as<std::uint8_t>().end());
  for (std::uint8_t& byte : out) byte ^= 0x80;
  return Blob::of<std::uint8_t>(out);
}

ValueId add_weight(Graph& graph, ValueId stored, Quant quant) {
  Value weight = graph.value(stored);
  if (weight.dtype == DType::u8) {
    weight.data = flipped(*weight.data);
    weight.dtype = DType::s8;
    for (std::int32_t& zero : quant.zero_point) zero -= 128;
  }
  weight.quant = std::move(quant);
  graph.values.push_back(std::move(weight));
  return static_cast<ValueId>(graph.values.size() - 1);
}

Source quantized_source(Editor& edit, ValueId id) {
  const std::string input = "input '" + edit.value(id).name + "' is ";
  const Node* node = edit.made_by(id, Op::DequantizeLinear);
  if (!node) return {kNone, input + "float: it has no QuantizeLinear"};
  const Value& stored = edit.value(node->inputs[0]);
  if (!is_byte(stored.dtype)) return {kNone, text(input, "quantized to ", name_of(stored.dtype), ", not to 8 bits")};
  const std::optional<Quant> quant = quant_of(edit.graph, *node);
  if (!quant) return {kNone, input + "quantized with parameters computed at run time"};
  if (!quant->per_tensor()) return {kNone, input + "quantized per channel; an activation needs one scale"};
  if (stored.quant && stored.quant != quant) return {kNone, input + "read with two different scales"};
  edit.value(node->inputs[0]).quant = quant;
  return {node->inputs[0], ""};
}

}  // namespace quaver
