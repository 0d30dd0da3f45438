// Rows of a table that is known: a product with ones at the indices' places and zeros elsewhere picks them, and what is
// done to each row alike is done to the table.
#include <algorithm>
#include <cmath>

#include "graph/unary.h"
#include "passes/clamp.h"
#include "passes/passes.h"
#include "passes/quantization.h"
#include "passes/rewrite.h"

namespace quaver {
namespace {

// A larger table stays where it is, in the model's file, of which only those rows are read that are asked for.
constexpr std::int64_t kLargestTable = 4 << 20;

// Whether `id` is [0, 1, …, n − 1] along the last axis.
bool counts_up(const Graph& graph, ValueId id, std::int64_t n) {
  const auto items = constant_ints(graph, id);
  const Value& value = graph.value(id);
  if (!items || value.shape.empty() || value.shape.back() != n || count(value.shape) != n) return false;
  for (std::int64_t i = 0; i < n; ++i) {
    if ((*items)[i] != i) return false;
  }
  return true;
}

// The bool that `id` is as a number: 1 where it holds, else 0.
ValueId condition_of(Editor& edit, ValueId id) {
  if (const Node* cast = edit.made_by(id, Op::Cast)) {
    return edit.value(cast->inputs[0]).dtype == DType::boolean ? cast->inputs[0] : kNone;
  }
  const Node* where = edit.made_by(id, Op::Where);
  if (!where || constant_scalar(edit.graph, where->inputs[1]) != 1.0F) return kNone;
  return constant_scalar(edit.graph, where->inputs[2]) == 0.0F ? where->inputs[0] : kNone;
}

// The indices [..., 1] of which `id`, [..., n], is one-hot; kNone where it is nothing such.
ValueId indices_of(Editor& edit, ValueId id, std::int64_t n) {
  const ValueId condition = condition_of(edit, id);
  const Node* equal = condition == kNone ? nullptr : edit.made_by(condition, Op::Equal);
  if (!equal || !edit.value(id).ranked) return kNone;
  for (std::size_t side = 0; side < 2; ++side) {
    const ValueId indices = equal->inputs[side];
    const Value& value = edit.value(indices);
    if (!value.ranked || value.shape.size() != edit.value(id).shape.size() || value.shape.back() != 1) continue;
    if (counts_up(edit.graph, equal->inputs[1 - side], n)) return indices;
  }
  return kNone;
}

float real_of(std::uint8_t byte, const Quant& quant, DType dtype, std::size_t channel) {
  const int stored = dtype == DType::s8 ? static_cast<std::int8_t>(byte) : byte;
  return quant.scale[channel] * static_cast<float>(stored - quant.zero_point[channel]);
}

// Rows with `on` in the place of their index and 0 elsewhere.
struct OneHot {
  ValueId indices = kNone;
  float on = 1;
};

// One-hot rows, which may have been made bytes and reals again.
OneHot one_hot_of(Editor& edit, ValueId id, std::int64_t n) {
  const Node* back = edit.made_by(id, Op::DequantizeLinear);
  const Node* there = back ? edit.made_by(back->inputs[0], Op::QuantizeLinear) : nullptr;
  if (!there) return {indices_of(edit, id, n)};
  const std::optional<Quant> quant = quant_of(edit.graph, *there);
  const DType dtype = edit.value(back->inputs[0]).dtype;
  if (!quant || !quant->per_tensor() || !is_byte(dtype) || quant_of(edit.graph, *back) != quant) return {};
  return {indices_of(edit, there->inputs[0], n), real_of(quantize(1, *quant, dtype), *quant, dtype, 0)};
}

// The finite reals of a constant [n, m], stored as they are or as bytes; empty where it is something else.
std::vector<float> table_of(Editor& edit, ValueId id) {
  const Node* dequantize = edit.made_by(id, Op::DequantizeLinear);
  const Value& value = edit.value(dequantize ? dequantize->inputs[0] : id);
  if (!value.constant() || value.shape.size() != 2) return {};
  std::vector<float> out;
  if (dequantize) {
    const std::optional<Quant> quant = quant_of(edit.graph, *dequantize);
    if (!quant || !is_byte(value.dtype) || count(value.shape) > kLargestTable) return {};
    const auto bytes = value.data->as<std::uint8_t>();
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const std::size_t row = i / value.shape[1], column = i % value.shape[1];
      const std::size_t channel = quant->per_tensor() ? 0 : quant->axis == 0 ? row : column;
      out.push_back(real_of(bytes[i], *quant, value.dtype, channel));
    }
  } else if (value.dtype == DType::f32) {
    const auto reals = value.data->as<float>();
    out.assign(reals.begin(), reals.end());
  }
  return std::ranges::all_of(out, [](float x) { return std::isfinite(x); }) ? out : std::vector<float>();
}

// An index that is none of the table's gives a row of zeros: one before the first, one behind the last.
ValueId padded(Graph& graph, const std::string& name, std::vector<float> table, std::int64_t width, float factor) {
  for (float& x : table) x *= factor;
  table.insert(table.begin(), width, 0.0F);
  table.insert(table.end(), width, 0.0F);
  return graph.add_constant(name + "/padded", DType::f32, {static_cast<std::int64_t>(table.size()) / width, width},
                            Blob::of<float>(table));
}

ValueId add_number(Graph& graph, DType dtype, const std::string& name, std::int64_t x) {
  if (dtype == DType::i64) return graph.add_constant(name, dtype, {}, Blob::of<std::int64_t>(std::vector{x}));
  return graph.add_constant(name, dtype, {}, Blob::of<std::int32_t>(std::vector{static_cast<std::int32_t>(x)}));
}

bool gather_one_hot(Editor& edit, NodeId id) {
  if (edit.node(id).op != Op::MatMul) return false;
  const Node product = edit.node(id);
  if (!product.attrs.items().empty() || has_input(product, 3)) return false;
  const Value weight = edit.value(product.inputs[1]);
  if (!weight.static_shape() || weight.shape.size() != 2 || count(weight.shape) == 0) return false;
  const std::int64_t n = weight.shape[0], width = weight.shape[1];
  const OneHot hot = one_hot_of(edit, product.inputs[0], n);
  if (hot.indices == kNone || edit.value(product.outputs[0]).quant) return false;
  const DType dtype = edit.value(hot.indices).dtype;
  std::vector<float> table = table_of(edit, product.inputs[1]);
  if (table.empty() || (dtype != DType::i64 && dtype != DType::i32)) return false;
  ValueId at = hot.indices;  // min(max(i, −1), n) + 1
  const auto then = [&](Op op, const char* name, std::int64_t x) {
    const ValueId out = edit.add_like(at, std::string("/") + name);
    edit.add(op, product.name, {at, add_number(edit.graph, dtype, name, x)}, {out});
    at = out;
  };
  then(Op::Max, "least", -1);
  then(Op::Min, "most", n);
  then(Op::Add, "first", 1);
  const ValueId flat = edit.add_like(at, "/flat");
  edit.value(flat).shape.pop_back();
  edit.add(Op::Squeeze, product.name, {at, add_ints(edit.graph, "last", {-1})}, {flat});
  const ValueId y = product.outputs[0];
  const ValueId rows = has_input(product, 2) ? edit.add_like(y, "/rows") : y;
  const ValueId reals = padded(edit.graph, weight.name, std::move(table), width, hot.on);
  edit.kill(id);
  edit.add(Op::Gather, product.name, {reals, flat}, {rows});
  if (rows != y) edit.add(Op::Add, product.name, {rows, product.inputs[2]}, {y});
  edit.prune(product.inputs[0]);
  edit.prune(product.inputs[1]);
  return true;
}

// The Gather of a known table's rows that makes `id`, for one user alone.
const Node* rows_of_table(Editor& edit, ValueId id) {
  const Node* gather = edit.made_by(id, Op::Gather);
  if (!gather || gather->attrs.i("axis", 0) != 0 || !edit.single_use(id)) return nullptr;
  const Value& table = edit.value(gather->inputs[0]);
  const bool known = table.constant() && table.dtype == DType::f32 && !table.quant && !table.shape.empty();
  return known && count(table.shape) <= kLargestTable && edit.value(id).ranked ? gather : nullptr;
}

// Whether each row of the table meets all of the constant alike.
bool goes_along_rows(const Value& constant, const Value& table) {
  const auto ones = std::ranges::find_if(constant.shape, [](std::int64_t d) { return d != 1; });
  const Dims kept(ones, constant.shape.end());
  if (!constant.constant() || constant.dtype != DType::f32 || kept.size() + 1 > table.shape.size()) return false;
  return broadcast(table.shape, kept) == table.shape;
}

// A table of what becomes of the rows, in the place of the rows themselves.
bool compute_table(Editor& edit, NodeId id) {
  const bool binary = is_arithmetic(edit.node(id).op);
  if (!binary && !is_unary(edit.node(id).op)) return false;
  const Node node = edit.node(id);
  if (edit.value(node.outputs[0]).dtype != DType::f32) return false;
  for (std::size_t side = 0; side < (binary ? 2 : 1); ++side) {
    const Node* gather = rows_of_table(edit, node.inputs[side]);
    if (!gather || edit.value(node.outputs[0]).shape.size() != edit.value(node.inputs[side]).shape.size()) continue;
    const ValueId table = gather->inputs[0], indices = gather->inputs[1];
    std::vector<ValueId> inputs = node.inputs;
    inputs[side] = table;
    if (binary) {
      const Value constant = edit.value(node.inputs[1 - side]);
      if (!goes_along_rows(constant, edit.value(table))) continue;
      const auto row = std::ranges::find_if(constant.shape, [](std::int64_t d) { return d != 1; });
      inputs[1 - side] =
          edit.graph.add_constant(constant.name, DType::f32, Dims(row, constant.shape.end()), *constant.data);
    }
    const ValueId rows = node.inputs[side], made = edit.add_like(table, "/" + std::string(name_of(node.op)));
    const std::string name = gather->name;
    edit.kill(id);
    edit.add(node.op, node.name, inputs, {made}, node.attrs);
    edit.add(Op::Gather, name, {made, indices}, {node.outputs[0]});
    edit.prune(rows);
    return true;
  }
  return false;
}

constexpr Rule kRules[] = {{"gather_one_hot", gather_one_hot}, {"compute_table", compute_table}};

}  // namespace

bool fuse_gather(Graph& graph, const Evaluator& evaluate) {
  bool changed = false;
  // A table must be known before more can be done to it.
  for (bool again = true; again; changed |= again) {
    again = apply_rules(graph, kRules);
    if (again) fold_constants_keep_quantized(graph, evaluate);
  }
  return changed;
}

}  // namespace quaver
