// A product with one positive constant a channel before a QuantizeLinear becomes part of its scales. Where outliers
// among channels have moved into the weights that read them, that is what spreads the others over all steps of a byte.
#include <cmath>

#include "passes/passes.h"
#include "passes/quantization.h"
#include "passes/rewrite.h"

namespace quaver {
namespace {

constexpr float kLeast = 0x1p-40F, kMost = 0x1p40F;  // of a factor: no scale leaves a float's range

// The axis of x along which a constant has its numbers.
std::optional<std::size_t> axis_of(const Value& constant, const Value& x) {
  if (!constant.constant() || constant.dtype != DType::f32 || !x.ranked) return std::nullopt;
  if (constant.shape.size() > x.shape.size() || count(constant.shape) < 2) return std::nullopt;
  const std::size_t missing = x.shape.size() - constant.shape.size();
  for (std::size_t i = 0; i < constant.shape.size(); ++i) {
    if (constant.shape[i] != count(constant.shape)) continue;
    return x.shape[missing + i] == constant.shape[i] ? std::optional(missing + i) : std::nullopt;
  }
  return std::nullopt;
}

// The scales that quantize x as `scale` does x times `factors`; none where one leaves a float's range.
std::vector<float> divided(float scale, std::span<const float> factors) {
  std::vector<float> scales;
  for (const float factor : factors) {
    if (!(factor >= kLeast && factor <= kMost)) return {};
    scales.push_back(static_cast<float>(static_cast<double>(scale) / factor));
  }
  return scales;
}

bool fold(Editor& edit, NodeId id) {
  if (edit.node(id).op != Op::QuantizeLinear) return false;
  const Node node = edit.node(id);
  if (!is_byte(edit.value(node.outputs[0]).dtype)) return false;
  const Node* mul = edit.made_by(node.inputs[0], Op::Mul);
  const std::optional<float> scale = constant_scalar(edit.graph, node.inputs[1]);
  if (!mul || !mul->attrs.items().empty() || !edit.single_use(node.inputs[0]) || !scale) return false;
  if (has_input(node, 2) && !edit.value(node.inputs[2]).constant()) return false;
  for (std::size_t side = 0; side < 2; ++side) {
    const ValueId x = mul->inputs[side], factors = mul->inputs[1 - side];
    const std::optional<std::size_t> axis = axis_of(edit.value(factors), edit.value(x));
    if (!axis) continue;
    const std::vector<float> scales = divided(*scale, edit.value(factors).data->as<float>());
    if (scales.empty()) return false;
    const NodeId folded = edit.producer(node.inputs[0]);
    remark(edit.node(id), "with " + label(edit.node(folded)));
    edit.kill(folded);
    edit.set_input(id, 0, x);
    edit.set_input(id, 1, add_floats(edit.graph, node.name + "/scales", scales));
    if (has_input(node, 2)) {
      const std::vector<std::byte> zeros(scales.size(), edit.value(node.inputs[2]).data->data()[0]);
      edit.set_input(id, 2,
                     edit.graph.add_constant(node.name + "/zero_points", edit.value(node.inputs[2]).dtype,
                                             {std::ssize(zeros)}, Blob::of<std::byte>(zeros)));
    }
    edit.node(id).attrs.set("axis", static_cast<std::int64_t>(*axis));
    return true;
  }
  return false;
}

constexpr Rule kRules[] = {{"fold_factors", fold}};

}  // namespace

bool fold_factors(Graph& graph, const Evaluator&) { return apply_rules(graph, kRules); }

}  // namespace quaver
