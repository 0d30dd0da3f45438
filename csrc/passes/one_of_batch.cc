// The graph of one image, where each image of a batch goes its own way through a graph.
//
// Values are followed from the inputs: one "goes apart" where its first dimension is the batch and what it holds of an
// image depends on that image alone. Operators for which this does not follow from their axes are taken to mix images.
#include <algorithm>

#include "graph/unary.h"
#include "passes/passes.h"
#include "passes/rewrite.h"

namespace quaver {
namespace {

constexpr std::size_t kResidual = 3;  // of convolutions and products: as large as the output

class Apart {
 public:
  Apart(const Graph& graph, std::int64_t images) : graph_(graph), images_(images), apart_(graph.values.size(), false) {
    for (const ValueId id : graph.inputs) apart_[id] = true;
  }

  // In run order; whether all nodes that depend on the inputs keep images apart.
  bool follow() {
    return std::ranges::all_of(graph_.nodes, [&](const Node& node) {
      if (node.dead || std::ranges::none_of(node.inputs, [&](ValueId id) { return apart(id); })) return true;
      if (!keeps_apart(node)) return false;
      return std::ranges::all_of(node.outputs, [&](ValueId id) { return id == kNone || set(id); });
    });
  }

  bool apart(ValueId id) const { return id != kNone && apart_[id]; }

 private:
  bool set(ValueId id) {
    const Dims& shape = graph_.value(id).shape;
    return apart_[id] = !shape.empty() && shape[0] == images_;
  }

  std::size_t rank(ValueId id) const { return graph_.value(id).shape.size(); }

  bool keeps_apart(const Node& node) const {
    if (is_unary(node.op)) return alone(node);
    switch (node.op) {
      case Op::Identity:
      case Op::Cast:
      case Op::Table:
      case Op::FlipSign:
      case Op::MaxPool:
      case Op::AveragePool:
      case Op::BatchNormalization:
      case Op::Reshape: return alone(node);  // its elements keep their order
      case Op::Conv:
      case Op::ConvTranspose: return alone(node, kResidual);
      case Op::QuantizeLinear:
      case Op::DequantizeLinear: return alone(node) && along(node, "axis", 1);
      case Op::Softmax:
      case Op::LogSoftmax: return alone(node) && along(node, "axis", -1);
      case Op::Split: return alone(node) && along(node, "axis", 0);
      case Op::Concat:
        return std::ranges::all_of(node.inputs, [&](ValueId id) { return apart(id); }) && along(node, "axis", 0);
      case Op::ReduceMean:
      case Op::ReduceMax:
      case Op::ReduceSum:
      case Op::ReduceMin: return alone(node) && reduces_within(node);
      case Op::Transpose: return alone(node) && node.attrs.has("perm") && node.attrs.ints("perm")[0] == 0;
      case Op::Slice: return alone(node) && slices_within(node);
      case Op::Resize: return alone(node) && !node.attrs.has("axes") && resizes_within(node);
      case Op::MatMul: return alone(node, kResidual) && multiplies_rows(node);
      case Op::Add:
      case Op::Sub:
      case Op::Mul:
      case Op::Div:
      case Op::Min:
      case Op::Max:
      case Op::Pow:
      case Op::PRelu:
      case Op::Where: return broadcasts_within(node);
      default: return false;
    }
  }

  // Only the first input depends on the image, and perhaps a second.
  bool alone(const Node& node, std::size_t second = SIZE_MAX) const {
    for (std::size_t i = 1; i < node.inputs.size(); ++i) {
      if (i == second ? node.inputs[i] != kNone && !apart(node.inputs[i]) : apart(node.inputs[i])) return false;
    }
    return apart(node.inputs[0]);
  }

  bool within(std::int64_t axis, std::size_t rank) const {
    return axis != 0 && axis != -static_cast<std::int64_t>(rank);
  }

  bool along(const Node& node, const char* name, std::int64_t otherwise) const {
    return within(node.attrs.i(name, otherwise), rank(node.inputs[0]));
  }

  bool all_within(const std::vector<std::int64_t>& axes, std::size_t rank) const {
    return std::ranges::all_of(axes, [&](std::int64_t axis) { return within(axis, rank); });
  }

  bool reduces_within(const Node& node) const {
    const std::vector<std::int64_t> axes = node.attrs.ints("axes");
    return !axes.empty() && all_within(axes, rank(node.inputs[0]));
  }

  bool slices_within(const Node& node) const {
    if (node.inputs.size() < 4 || node.inputs[3] == kNone) return false;
    const auto axes = constant_ints(graph_, node.inputs[3]);
    return axes && all_within(*axes, rank(node.inputs[0]));
  }

  // Sizes keep the batch where the output does; a scale may round to it.
  bool resizes_within(const Node& node) const {
    if (node.inputs.size() < 3 || node.inputs[2] == kNone) return true;
    const Value& scales = graph_.value(node.inputs[2]);
    return scales.constant() && scales.dtype == DType::f32 && scales.data->as<float>()[0] == 1;
  }

  // By one matrix, or by several that all images share.
  bool multiplies_rows(const Node& node) const {
    const Dims &a = graph_.value(node.inputs[0]).shape, &b = graph_.value(node.inputs[1]).shape;
    return a.size() > 1 && (b.size() <= 2 || b.size() < a.size() || (b.size() == a.size() && b[0] == 1));
  }

  // What does not depend on the image is the same for all of them.
  bool broadcasts_within(const Node& node) const {
    const std::size_t most = rank(node.outputs[0]);
    return std::ranges::all_of(node.inputs, [&](ValueId id) {
      return apart(id) ? rank(id) == most : rank(id) < most || graph_.value(id).shape[0] == 1;
    });
  }

  const Graph& graph_;
  const std::int64_t images_;
  std::vector<bool> apart_;
};

// Operators whose output's shape is an input.
std::size_t shape_input(const Node& node) {
  if (node.op == Op::Reshape) return 1;
  return node.op == Op::Resize && node.inputs.size() > 3 && node.inputs[3] != kNone ? 3 : 0;
}

}  // namespace

std::optional<Graph> one_of_batch(const Graph& graph, const Evaluator& evaluate) {
  const auto batch = [&](ValueId id) {
    const Dims& shape = graph.value(id).shape;
    return shape.empty() ? 0 : shape[0];
  };
  if (graph.inputs.empty() || batch(graph.inputs[0]) < 2) return std::nullopt;
  const std::int64_t images = batch(graph.inputs[0]);
  if (std::ranges::any_of(graph.inputs, [&](ValueId id) { return batch(id) != images; })) return std::nullopt;
  Apart apart(graph, images);
  if (!apart.follow()) return std::nullopt;
  if (!std::ranges::all_of(graph.outputs, [&](ValueId id) { return apart.apart(id); })) return std::nullopt;

  Graph one = graph;
  for (Node& node : one.nodes) {
    const std::size_t at = node.dead || !apart.apart(node.outputs[0]) ? 0 : shape_input(node);
    if (at == 0) continue;
    Dims shape = graph.value(node.outputs[0]).shape;
    shape[0] = 1;
    node.inputs[at] = add_ints(one, node.name + ".one", shape);
  }
  std::vector<Dims> shapes;
  for (const ValueId id : graph.inputs) {
    shapes.push_back(graph.value(id).shape);
    shapes.back()[0] = 1;
  }
  specialize(one, shapes, evaluate);
  return one;
}

}  // namespace quaver
