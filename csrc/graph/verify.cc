// Trusts nothing: a graph may come from a damaged or hostile file.
#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "graph/schema.h"

namespace quaver {
namespace {

template <class... Parts>
[[noreturn]] void reject(Parts&&... parts) {
  fail(Status::invalid_model, std::forward<Parts>(parts)...);
}

std::string label(const Node& node) { return text(name_of(node.op), " '", node.name, "'"); }
std::string label(const Value& value) { return text("tensor '", value.name, "'"); }

void check_scales(const std::string& owner, std::span<const float> scales) {
  for (std::size_t i = 0; i < scales.size(); ++i) {
    if (std::isfinite(scales[i]) && scales[i] > 0) continue;
    const std::string shown = std::isnan(scales[i]) ? "NaN" : text(scales[i]);
    reject(owner, ": scale[", i, "] is ", shown, "; scales must be finite and positive");
  }
}

struct Range {
  std::int64_t low, high;
};

Range zero_points_of(const Value& value) {
  switch (value.dtype) {
    case DType::u8: return {0, 255};
    case DType::s8: return {-128, 127};
    case DType::i32: return {std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()};
    default: reject(label(value), ": a quantized tensor is uint8, int8 or int32, not ", name_of(value.dtype));
  }
}

void check_quant(const Value& value) {
  const Quant& quant = *value.quant;
  check_scales(label(value), quant.scale);
  if (quant.scale.empty() || quant.scale.size() != quant.zero_point.size()) {
    reject(label(value), ": ", quant.scale.size(), " scales and ", quant.zero_point.size(), " zero points");
  }
  const Range range = zero_points_of(value);
  for (const std::int32_t zero : quant.zero_point) {
    if (zero < range.low || zero > range.high) {
      reject(label(value), ": zero point ", zero, " is no ", name_of(value.dtype));
    }
  }
  if (quant.axis < -1 || (quant.axis == -1 && !quant.per_tensor())) {
    reject(label(value), ": ", quant.scale.size(), " scales along axis ", quant.axis);
  }
  if (quant.axis < 0 || !value.ranked) return;
  const auto axis = static_cast<std::size_t>(quant.axis);
  const auto scales = static_cast<std::int64_t>(quant.scale.size());
  if (axis >= value.shape.size() || (value.shape[axis] != kDynamic && value.shape[axis] != scales)) {
    reject(label(value), ": ", scales, " scales along axis ", axis, " of shape ", to_string(value.shape));
  }
}

void check_value(const Value& value) {
  if (static_cast<int>(value.dtype) >= kDTypeCount) reject(label(value), ": unknown dtype");
  for (const std::int64_t d : value.shape) {
    if (d < kDynamic || d > kLargestDimension) reject(label(value), ": a dimension is ", d);
  }
  if (value.static_shape()) count(value.shape);  // fails on an overflow
  if (value.constant()) {
    if (!value.static_shape()) reject(label(value), ": a constant of unknown shape");
    const auto elements = static_cast<std::uint64_t>(count(value.shape));
    const std::uint64_t bytes = value.data->size();
    if (bytes / size_of(value.dtype) != elements || bytes % size_of(value.dtype) != 0) {
      reject(label(value), ": ", bytes, " bytes for ", name_of(value.dtype), to_string(value.shape));
    }
  }
  if (value.quant) check_quant(value);
}

void check_attrs(const Node& node) {
  for (const auto& [name, value] : node.attrs.items()) {
    const std::span<const AttrSpec> specs = schema_of(node.op).attrs;
    const auto spec =
        std::find_if(specs.begin(), specs.end(), [&key = name](const AttrSpec& s) { return s.name == key; });
    if (spec == specs.end()) reject(label(node), ": unknown attribute '", name, "'");
    const bool integer_for_float = spec->kind == AttrKind::f && std::holds_alternative<std::int64_t>(value);
    if (value.index() != static_cast<std::size_t>(spec->kind) && !integer_for_float) {
      reject(label(node), ": attribute '", name, "' = ", to_string(value), " is of the wrong kind");
    }
    const double* real = std::get_if<double>(&value);
    if (real && std::isnan(*real)) reject(label(node), ": attribute '", name, "' is NaN");
  }
}

void check_arity(const Node& node) {
  const OpSchema& schema = schema_of(node.op);
  const auto check = [&](const char* what, std::size_t n, std::size_t low, std::size_t high) {
    if (n < low || n > high) reject(label(node), ": ", n, " ", what, ", expected ", low, " to ", high);
  };
  check("inputs", node.inputs.size(), schema.min_inputs, schema.max_inputs);
  check("outputs", node.outputs.size(), schema.min_outputs, schema.max_outputs);
  for (std::size_t i = 0; i < schema.min_inputs; ++i) {
    if (node.inputs[i] == kNone) reject(label(node), ": input ", i, " is missing");
  }
}

// Which values exist so far, in run order.
class Available {
 public:
  explicit Available(const Graph& graph) : graph_(graph), made_(graph.values.size(), false) {
    for (ValueId id = 0; id < made_.size(); ++id) made_[id] = graph.value(id).constant();
  }
  void make(ValueId id, const std::string& maker) {
    if (id >= made_.size()) reject(maker, ": tensor ", id, " of ", made_.size());
    if (made_[id]) reject(maker, ": ", label(graph_.value(id)), " has been made before");
    made_[id] = true;
  }
  void use(ValueId id, const std::string& user) const {
    if (id >= made_.size()) reject(user, ": tensor ", id, " of ", made_.size());
    if (!made_[id]) reject(user, ": ", label(graph_.value(id)), " is used before it is made");
  }

 private:
  const Graph& graph_;
  std::vector<bool> made_;
};

// The scales a Quantize- or DequantizeLinear takes as a constant.
void check_scale_input(const Graph& graph, const Node& node) {
  if (node.op != Op::QuantizeLinear && node.op != Op::DequantizeLinear) return;
  const Value& scale = graph.value(node.inputs[1]);
  if (scale.constant() && scale.dtype == DType::f32) check_scales(label(node), scale.data->as<float>());
}

}  // namespace

void verify(const Graph& graph) {
  for (const Value& value : graph.values) check_value(value);
  Available available(graph);
  for (const ValueId id : graph.inputs) available.make(id, "graph inputs");
  for (const Node& node : graph.nodes) {
    if (node.dead) continue;
    if (static_cast<int>(node.op) >= kOpCount) reject("node '", node.name, "': unknown operator");
    check_arity(node);
    check_attrs(node);
    for (const ValueId in : node.inputs) {
      if (in != kNone) available.use(in, label(node));
    }
    for (const ValueId out : node.outputs) available.make(out, label(node));
    check_scale_input(graph, node);
  }
  for (const ValueId id : graph.outputs) available.use(id, "graph outputs");
}

}  // namespace quaver
