#include "graph/contents.h"

#include <algorithm>

namespace quaver {
namespace {

using Known = std::optional<Dims>;

constexpr std::size_t kMost = 64;  // shapes are short

bool is_integer(const Value& value) { return value.dtype == DType::i64 || value.dtype == DType::i32; }

Known shape(const Graph& graph, const Node& node) {
  const Value& x = graph.value(node.inputs[0]);
  if (!x.ranked) return std::nullopt;
  const auto rank = static_cast<std::int64_t>(x.shape.size());
  const auto bound = [&](const char* name, std::int64_t otherwise) {
    const std::int64_t at = node.attrs.i(name, otherwise);
    return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank);
  };
  const std::int64_t start = bound("start", 0), end = std::max(start, bound("end", rank));
  return Dims(x.shape.begin() + start, x.shape.begin() + end);
}

Known joined(const Graph& graph, const Node& node) {
  Dims out;
  for (const ValueId id : node.inputs) {
    const Known part = known_ints(graph, id);
    if (!part) return std::nullopt;
    out.insert(out.end(), part->begin(), part->end());
  }
  return out;
}

Known gathered(const Graph& graph, const Node& node) {
  const Known x = known_ints(graph, node.inputs[0]), picks = known_ints(graph, node.inputs[1]);
  if (!x || !picks || !graph.value(node.inputs[1]).constant()) return std::nullopt;
  const auto n = static_cast<std::int64_t>(x->size());
  Dims out;
  for (const std::int64_t pick : *picks) {
    if (pick < -n || pick >= n) return std::nullopt;
    out.push_back((*x)[pick < 0 ? pick + n : pick]);
  }
  return out;
}

// One step at a time, forwards.
Known sliced(const Graph& graph, const Node& node) {
  const auto one = [&](std::size_t i) -> std::optional<std::int64_t> {
    const ValueId id = i < node.inputs.size() ? node.inputs[i] : kNone;
    if (id == kNone || !graph.value(id).constant()) return std::nullopt;
    const Known items = known_ints(graph, id);
    return items && items->size() == 1 ? std::optional((*items)[0]) : std::nullopt;
  };
  const Known x = known_ints(graph, node.inputs[0]);
  const auto start = one(1), end = one(2);
  if (!x || !start || !end || (node.inputs.size() > 4 && one(4) != 1)) return std::nullopt;
  const auto n = static_cast<std::int64_t>(x->size());
  const auto bound = [n](std::int64_t at) {
    return std::clamp<std::int64_t>(at < 0 ? std::max(at, -n) + n : at, 0, n);
  };
  const std::int64_t first = bound(*start), last = std::max(first, bound(*end));
  return Dims(x->begin() + first, x->begin() + last);
}

std::int64_t computed(Op op, std::int64_t a, std::int64_t b) {
  std::int64_t out = kDynamic;
  if (a < 0 || b < 0) return kDynamic;
  switch (op) {
    case Op::Add: return __builtin_add_overflow(a, b, &out) ? kDynamic : out;
    case Op::Sub: return std::max(a - b, kDynamic);  // a negative number is as good as none
    case Op::Mul: return __builtin_mul_overflow(a, b, &out) ? kDynamic : out;
    default: return b == 0 ? kDynamic : a / b;
  }
}

Known arithmetic(const Graph& graph, const Node& node) {
  const Known a = known_ints(graph, node.inputs[0]), b = known_ints(graph, node.inputs[1]);
  if (!a || !b || (a->size() != b->size() && a->size() != 1 && b->size() != 1)) return std::nullopt;
  Dims out(a->empty() || b->empty() ? 0 : std::max(a->size(), b->size()));
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = computed(node.op, (*a)[a->size() == 1 ? 0 : i], (*b)[b->size() == 1 ? 0 : i]);
  }
  return out;
}

Known made(const Graph& graph, const Node& node) {
  switch (node.op) {
    case Op::Shape: return shape(graph, node);
    case Op::Identity:
    case Op::Cast:
    case Op::Reshape:
    case Op::Squeeze:
    case Op::Unsqueeze: return known_ints(graph, node.inputs[0]);
    case Op::Concat: return joined(graph, node);
    case Op::Gather: return gathered(graph, node);
    case Op::Slice: return sliced(graph, node);
    case Op::Add:
    case Op::Sub:
    case Op::Mul:
    case Op::Div: return arithmetic(graph, node);
    default: return std::nullopt;
  }
}

}  // namespace

Known known_ints(const Graph& graph, ValueId id) {
  const Value& value = graph.value(id);
  if (!value.constant() || !is_integer(value) || value.shape.size() > 1) return value.known;
  if (static_cast<std::size_t>(count(value.shape)) > kMost) return std::nullopt;
  if (value.dtype == DType::i32) {
    const auto items = value.data->as<std::int32_t>();
    return Dims(items.begin(), items.end());
  }
  const auto items = value.data->as<std::int64_t>();
  return Dims(items.begin(), items.end());
}

Known known_output(const Graph& graph, const Node& node) {
  const Value& y = graph.value(node.outputs[0]);
  if (!is_integer(y) || !y.static_shape() || y.shape.size() > 1) return std::nullopt;
  Known out = made(graph, node);
  // What a narrower integer may wrap stays unknown.
  if (out) std::ranges::replace_if(*out, [&](auto d) { return d < 0 || d > INT32_MAX; }, kDynamic);
  return out && out->size() == static_cast<std::size_t>(count(y.shape)) ? out : std::nullopt;
}

}  // namespace quaver
