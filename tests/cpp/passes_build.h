// Graphs by hand for the tests of passes, with an evaluator small enough to believe.
#pragma once

#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "graph/schema.h"
#include "passes/passes.h"
#include "passes/permute.h"
#include "passes/quantization.h"

namespace quaver::testing {

struct Build {
  Graph graph;

  ValueId input(const std::string& name, DType dtype, Dims shape) {
    const ValueId id = graph.add_value(name, dtype, std::move(shape));
    graph.inputs.push_back(id);
    return id;
  }
  template <class T>
  ValueId constant(const std::string& name, Dims shape, const std::vector<T>& items) {
    return graph.add_constant(name, DTypeOf<T>::value, std::move(shape), Blob::of<T>(items));
  }
  // Counting up: every element differs.
  template <class T>
  ValueId counting(const std::string& name, Dims shape) {
    std::vector<T> items(count(shape));
    std::iota(items.begin(), items.end(), T{1});
    return constant<T>(name, std::move(shape), items);
  }
  ValueId scalar(float x) { return constant<float>("scalar", {}, {x}); }
  ValueId ints(std::vector<std::int64_t> items) {
    const Dims shape{static_cast<std::int64_t>(items.size())};
    return constant<std::int64_t>("ints", shape, items);
  }
  // A node and its inferred outputs; named after its first output.
  std::vector<ValueId> nodes(Op op, std::vector<ValueId> in, std::size_t outputs, Attrs attrs = {}) {
    std::vector<ValueId> out;
    const std::string name = text(name_of(op), graph.nodes.size());
    for (std::size_t i = 0; i < outputs; ++i) out.push_back(graph.add_value(text(name, ":", i), DType::f32));
    graph.add_node(op, name, std::move(in), out, std::move(attrs));
    infer_node(graph, graph.nodes.back());
    return out;
  }
  ValueId node(Op op, std::vector<ValueId> in, Attrs attrs = {}) {
    return nodes(op, std::move(in), 1, std::move(attrs))[0];
  }
  ValueId transpose(ValueId x, Perm perm) { return node(Op::Transpose, {x}, attr("perm", perm)); }
  ValueId to_nhwc(ValueId x) { return transpose(x, {0, 2, 3, 1}); }
  ValueId to_nchw(ValueId x) { return transpose(x, {0, 3, 1, 2}); }
  ValueId relu(ValueId x) { return node(Op::Clip, {x}, attr("lo", 0.0)); }
  // Conv as the importer writes it: NCHW outside, NHWC inside; `weight` is [O, C, KH, KW].
  ValueId conv(ValueId x, ValueId weight, ValueId bias = kNone) {
    std::vector<ValueId> in{to_nhwc(x), to_nhwc(weight)};
    if (bias != kNone) in.push_back(bias);
    return to_nchw(node(Op::Conv, in));
  }
  template <class T>
  ValueId zero_point(int zero) {
    return constant<T>("zero", {}, {static_cast<T>(zero)});
  }
  template <class T = std::uint8_t>
  ValueId quantize(ValueId x, float scale, int zero) {
    return node(Op::QuantizeLinear, {x, scalar(scale), zero_point<T>(zero)});
  }
  ValueId dequantize(ValueId q, float scale, int zero) {
    const DType dtype = graph.value(q).dtype;
    const ValueId z = dtype == DType::u8   ? zero_point<std::uint8_t>(zero)
                      : dtype == DType::s8 ? zero_point<std::int8_t>(zero)
                                           : zero_point<std::int32_t>(zero);
    return node(Op::DequantizeLinear, {q, scalar(scale), z});
  }
  // QuantizeLinear and DequantizeLinear, one after the other.
  template <class T = std::uint8_t>
  ValueId qdq(ValueId x, float scale, int zero) {
    return dequantize(quantize<T>(x, scale, zero), scale, zero);
  }
  void output(ValueId id) { graph.outputs.push_back(id); }

  static Attrs attr(const std::string& name, AttrValue value) {
    Attrs attrs;
    attrs.set(name, std::move(value));
    return attrs;
  }
};

// The live operators in run order: "Transpose Conv Clip".
inline std::string ops(const Graph& graph) {
  std::string out;
  for (const Node& node : graph.nodes) {
    if (!node.dead) out += (out.empty() ? "" : " ") + std::string(name_of(node.op));
  }
  return out;
}

inline const Node& only(const Graph& graph, Op op) {
  const Node* found = nullptr;
  for (const Node& node : graph.nodes) {
    if (node.dead || node.op != op) continue;
    if (found) fail(Status::internal, "several ", name_of(op), "s in\n", dump(graph));
    found = &node;
  }
  if (!found) fail(Status::internal, "no ", name_of(op), " in\n", dump(graph));
  return *found;
}

inline std::vector<std::int64_t> ints_of(const Graph& graph, ValueId id) {
  const auto items = constant_ints(graph, id);
  return items ? *items : std::vector<std::int64_t>{};
}

// Moves of constants, and Add and Mul of quantized numbers.
inline std::vector<Blob> evaluate(const Graph& graph, const Node& node) {
  const Value& x = graph.value(node.inputs[0]);
  switch (node.op) {
    case Op::Reshape:
    case Op::Identity:
    case Op::Squeeze:
    case Op::Unsqueeze:
    case Op::Flatten: return {*x.data};
    case Op::Transpose: return {permuted(*x.data, size_of(x.dtype), x.shape, perm_of(graph, node))};
    case Op::Add:
    case Op::Mul: {
      const Value &b = graph.value(node.inputs[1]), &y = graph.value(node.outputs[0]);
      if (x.dtype != DType::u8) return {};
      std::vector<std::uint8_t> out(count(y.shape));
      const auto real = [](const Value& value, std::size_t i) {
        const auto bytes = value.data->as<std::uint8_t>();
        return double{value.quant->scale[0]} * (bytes[bytes.size() == 1 ? 0 : i] - value.quant->zero_point[0]);
      };
      for (std::size_t i = 0; i < out.size(); ++i) {
        const double l = real(x, i), r = real(b, i);
        out[i] = quantize(node.op == Op::Add ? l + r : l * r, *y.quant, DType::u8);
      }
      return {Blob::of<std::uint8_t>(out)};
    }
    default: return {};
  }
}

// Runs a pass and checks that the graph is still one, all shapes included.
inline bool apply(Graph& graph, bool (*pass)(Graph&, const Evaluator&)) {
  const bool changed = pass(graph, evaluate);
  verify(graph);
  infer_shapes(graph);
  return changed;
}

}  // namespace quaver::testing
