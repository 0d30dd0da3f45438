// Every value that is a function of one byte, through whatever chain of operators, is one table lookup.
//
// The pass walks the graph once and remembers for each value that it is f(q) of a single u8 value q: f as 256 bytes
// where it is quantized, as 256 reals where it is float between DequantizeLinear and QuantizeLinear. Quantizations in
// between are applied in f as they stand, so bits stay. SiLU, hard-swish and their like, however spelled, are found
// this way.
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <unordered_map>

#include "graph/unary.h"
#include "passes/clamp.h"
#include "passes/passes.h"
#include "passes/quantization.h"
#include "passes/rewrite.h"

namespace quaver {
namespace {

// f of the byte `root`.
struct ByteFunction {
  ValueId root = kNone;
  UnaryTable bytes{};               // of a u8 value
  std::array<double, 256> reals{};  // of a float value
};

bool is_u8(const Value& value) { return value.dtype == DType::u8 && !value.constant(); }
bool is_quantized_u8(const Value& value) {
  return value.dtype == DType::u8 && value.quant && value.quant->per_tensor();
}

double arithmetic(Op op, double a, double b) {
  switch (op) {
    case Op::Add: return a + b;
    case Op::Sub: return a - b;
    case Op::Mul: return a * b;
    case Op::Div: return a / b;
    default: return a < 0 ? a * b : a;  // PRelu
  }
}

bool is_binary(Op op) { return is_arithmetic(op) || op == Op::PRelu; }

class TableFuser {
 public:
  TableFuser(Graph& graph, const Evaluator& evaluate) : graph_(graph), evaluate_(evaluate), edit_(graph) {}

  bool run() {
    const auto size = static_cast<NodeId>(graph_.nodes.size());
    for (NodeId id = 0; id < size; ++id) {
      if (graph_.nodes[id].dead || graph_.nodes[id].outputs.size() != 1) continue;
      const std::optional<ByteFunction> f = function_of(graph_.nodes[id]);
      if (!f) continue;
      const ValueId y = graph_.nodes[id].outputs[0];
      known_[y] = *f;
      if (is_u8(graph_.value(y))) make_table(id, *f);
    }
    if (changed_) graph_.sort();
    return changed_;
  }

 private:
  using Result = std::optional<ByteFunction>;

  // An input as a function of a byte: known from before, or a u8 value itself.
  Result operand(ValueId id) const {
    if (const auto found = known_.find(id); found != known_.end()) return found->second;
    if (!is_u8(graph_.value(id))) return std::nullopt;
    ByteFunction identity{.root = id};
    std::iota(identity.bytes.begin(), identity.bytes.end(), 0);
    return identity;
  }

  Result function_of(const Node& node) {
    if (node.op == Op::Table) return through_table(node);
    if (node.op == Op::DequantizeLinear) return dequantized(node);
    if (node.op == Op::QuantizeLinear) return quantized(node);
    if (is_unary(node.op)) return unary(node);
    if (is_binary(node.op)) return graph_.value(node.outputs[0]).quant ? quantized_binary(node) : float_binary(node);
    return std::nullopt;
  }

  Result through_table(const Node& node) const {
    Result f = operand(node.inputs[0]);
    if (!f || !graph_.value(node.inputs[1]).constant()) return std::nullopt;
    const auto table = graph_.value(node.inputs[1]).data->as<std::uint8_t>();
    for (std::uint8_t& byte : f->bytes) byte = table[byte];
    return f;
  }

  Result dequantized(const Node& node) const {
    Result f = operand(node.inputs[0]);
    const std::optional<Quant> quant = quant_of(graph_, node);
    if (!f || !quant || !quant->per_tensor() || graph_.value(node.inputs[0]).dtype != DType::u8) return std::nullopt;
    for (int q = 0; q < 256; ++q) f->reals[q] = double{quant->scale[0]} * (f->bytes[q] - quant->zero_point[0]);
    return f;
  }

  Result quantized(const Node& node) const {
    Result f = operand(node.inputs[0]);
    const std::optional<Quant> quant = quant_of(graph_, node);
    if (!f || !quant || !quant->per_tensor() || !is_u8(graph_.value(node.outputs[0]))) return std::nullopt;
    for (int q = 0; q < 256; ++q) f->bytes[q] = quantize(f->reals[q], *quant, DType::u8);
    return f;
  }

  Result unary(const Node& node) const {
    Result f = operand(node.inputs[0]);
    const Value &x = graph_.value(node.inputs[0]), &y = graph_.value(node.outputs[0]);
    if (!f) return std::nullopt;
    const auto function = [&](double value) { return eval_unary(node.op, node.attrs, value); };
    if (is_quantized_u8(x) && is_quantized_u8(y)) {
      const UnaryTable table = unary_table(function, *x.quant, *y.quant);
      for (std::uint8_t& byte : f->bytes) byte = table[byte];
    } else if (x.dtype == DType::f32 && y.dtype == DType::f32) {
      std::transform(f->reals.begin(), f->reals.end(), f->reals.begin(), function);
    } else {
      return std::nullopt;
    }
    return f;
  }

  // The one byte both operands depend on; a constant of one number depends on none. kNone where there is no such byte.
  ValueId common_root(const Node& node) const {
    ValueId root = kNone;
    for (const ValueId in : {node.inputs[0], node.inputs[1]}) {
      const Value& value = graph_.value(in);
      if (value.constant()) {
        if (count(value.shape) != 1) return kNone;
        continue;
      }
      const Result f = operand(in);
      if (!f || (root != kNone && f->root != root)) return kNone;
      root = f->root;
    }
    if (root == kNone) return kNone;
    const Value &x = graph_.value(root), &y = graph_.value(node.outputs[0]);
    const bool same = x.ranked && y.ranked && x.shape == y.shape;  // a constant of higher rank adds dimensions
    return same ? root : kNone;
  }

  Result float_binary(const Node& node) const {
    const ValueId root = common_root(node);
    if (root == kNone) return std::nullopt;
    std::array<double, 256> sides[2];
    for (int side = 0; side < 2; ++side) {
      const ValueId in = node.inputs[side];
      if (graph_.value(in).dtype != DType::f32) return std::nullopt;
      if (const auto scalar = constant_scalar(graph_, in)) {
        sides[side].fill(*scalar);
      } else {
        sides[side] = operand(in)->reals;
      }
    }
    ByteFunction f{.root = root};
    const double lo = node.attrs.f("lo", -kUnbounded), hi = node.attrs.f("hi", kUnbounded);
    for (int q = 0; q < 256; ++q) {
      f.reals[q] = std::min(std::max(arithmetic(node.op, sides[0][q], sides[1][q]), lo), hi);
    }
    return f;
  }

  // The node itself is run on all 256 bytes, so that the table has its bits.
  Result quantized_binary(const Node& node) const {
    const ValueId root = common_root(node);
    if (root == kNone || !is_quantized_u8(graph_.value(node.outputs[0]))) return std::nullopt;
    Graph probe;
    std::vector<ValueId> inputs;
    for (const ValueId in : node.inputs) {
      Value value = graph_.value(in);
      if (!value.constant()) {
        value.data = Blob::of<std::uint8_t>(operand(in)->bytes);
        value.shape = {256};
      }
      value.shape = value.data->size() == 256 * size_of(value.dtype) ? Dims{256} : Dims{};
      probe.values.push_back(std::move(value));
      inputs.push_back(static_cast<ValueId>(probe.values.size() - 1));
    }
    probe.values.push_back(graph_.value(node.outputs[0]));
    const auto out = static_cast<ValueId>(probe.values.size() - 1);
    probe.value(out).shape = {256};
    probe.add_node(node.op, node.name, inputs, {out}, node.attrs);
    const std::vector<Blob> results = evaluate_(probe, probe.nodes[0]);
    if (results.size() != 1 || results[0].size() != 256) return std::nullopt;
    ByteFunction f{.root = root};
    std::copy_n(results[0].as<std::uint8_t>().begin(), 256, f.bytes.begin());
    return f;
  }

  bool is_identity(ValueId y, const ByteFunction& f) const {
    UnaryTable identity;
    std::iota(identity.begin(), identity.end(), 0);
    return f.bytes == identity && graph_.value(y).quant == graph_.value(f.root).quant;
  }

  void make_table(NodeId id, const ByteFunction& f) {
    const ValueId y = graph_.nodes[id].outputs[0];
    const std::vector<ValueId> before = graph_.nodes[id].inputs;
    if (is_identity(y, f) && edit_.bypass(id, f.root)) {
      changed_ = true;
    } else if (graph_.nodes[id].op == Op::Table && before[0] == f.root) {
      return;
    } else {
      const ValueId table =
          graph_.add_constant(graph_.value(y).name + "/table", DType::u8, {256}, Blob::of<std::uint8_t>(f.bytes));
      edit_.set_inputs(id, {f.root, table});
      describe(edit_.node(id));
      changed_ = true;
    }
    for (const ValueId in : before) {
      if (in != kNone) edit_.prune(in);
    }
  }

  static void describe(Node& node) {
    node.note = node.op == Op::Table ? node.note : name_of(node.op);
    node.op = Op::Table;
    node.attrs = {};
  }

  Graph& graph_;
  const Evaluator& evaluate_;
  Editor edit_;
  std::unordered_map<ValueId, ByteFunction> known_;
  bool changed_ = false;
};

}  // namespace

bool fuse_tables(Graph& graph, const Evaluator& evaluate) { return TableFuser(graph, evaluate).run(); }

}  // namespace quaver
