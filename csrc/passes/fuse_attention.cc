// softmax(q · kᵀ · scale + mask) · v, as exporters spell it, becomes one Attention.
//
// Found from the Softmax: scores before it, through scalar factors, a mask and what rounds scores to bytes; the product
// with v after it, likewise. What parts heads (Reshape to [batch, tokens, heads, depth] and Transpose) and joins them
// again is Attention's own addressing. Scores and weights that the model rounds to bytes are not rounded so inside:
// what is left out is an error of the quantization only.
#include <algorithm>
#include <limits>
#include <optional>

#include "passes/passes.h"
#include "passes/permute.h"
#include "passes/quantization.h"
#include "passes/rewrite.h"

namespace quaver {
namespace {

struct Found {
  ValueId q = kNone, k = kNone, v = kNone, mask = kNone, y = kNone;  // q, v, y: [b, h, tokens, depth]; k transposed
  double scale = 1;
  bool nan_is_zero = false, hidden_is_zero = false;
};

// The operand beside a constant number, whose factor it takes along: a product or a quotient.
ValueId without_factor(Editor& edit, ValueId id, double& factor) {
  for (const Op op : {Op::Mul, Op::Div}) {
    const Node* node = edit.made_by(id, op);
    if (!node || !node->attrs.items().empty() || edit.value(id).quant) continue;
    for (std::size_t side = 0; side < (op == Op::Mul ? 2U : 1U); ++side) {
      const std::optional<float> c = constant_scalar(edit.graph, node->inputs[1 - side]);
      const ValueId x = node->inputs[side];
      const Value &from = edit.value(x), &to = edit.value(id);
      if (!c || from.shape.size() != to.shape.size() || from.dtype != to.dtype || from.quant) continue;
      factor = op == Op::Mul ? factor * *c : factor / *c;
      return x;
    }
  }
  return kNone;
}

ValueId without_factors(Editor& edit, ValueId id, double& factor) {
  for (ValueId inner = without_factor(edit, id, factor); inner != kNone; inner = without_factor(edit, id, factor)) {
    id = inner;
  }
  return id;
}

// Past a DequantizeLinear, to the bytes of a product.
ValueId past_rounding(Editor& edit, ValueId id) {
  const Node* node = edit.made_by(id, Op::DequantizeLinear);
  return node && edit.made_by(node->inputs[0], Op::MatMul) ? node->inputs[0] : id;
}

bool in_bytes(const Value& value) { return value.dtype == DType::u8 && value.quant && value.quant->per_tensor(); }

// The bytes that a value is made from by DequantizeLinear, where it is.
ValueId bytes_of(Editor& edit, ValueId id) {
  const Node* node = edit.made_by(id, Op::DequantizeLinear);
  return node && in_bytes(edit.value(node->inputs[0])) ? node->inputs[0] : id;
}

bool four_static(const Value& value) { return value.shape.size() == 4 && value.static_shape(); }

bool find_scores(Editor& edit, ValueId x, Found& found) {
  const Dims shape = edit.value(x).shape;
  x = without_factors(edit, past_rounding(edit, x), found.scale);
  x = past_rounding(edit, x);
  const Node* add = edit.made_by(x, Op::Add);
  if (add && add->attrs.items().empty() && !edit.value(x).quant && found.scale == 1) {
    for (std::size_t side = 0; side < 2 && found.mask == kNone; ++side) {
      double factor = 1;
      ValueId inner = without_factors(edit, past_rounding(edit, add->inputs[side]), factor);
      inner = past_rounding(edit, inner);
      if (!edit.made_by(inner, Op::MatMul)) continue;
      found.mask = add->inputs[1 - side];
      found.scale = factor;
      x = inner;
    }
  }
  const Node* product = edit.made_by(x, Op::MatMul);
  if (!product || product->inputs.size() > 2 || !product->attrs.items().empty() || edit.value(x).shape != shape) {
    return false;
  }
  found.q = bytes_of(edit, without_factors(edit, product->inputs[0], found.scale));
  found.k = bytes_of(edit, without_factors(edit, product->inputs[1], found.scale));
  if (found.mask == kNone) return true;
  const Value& mask = edit.value(found.mask);
  if (mask.dtype != DType::f32 || !mask.static_shape() || mask.shape.empty() || mask.shape.size() > 4) return false;
  return mask.shape.back() == shape.back();
}

ValueId sole_result(Editor& edit, ValueId id, Op op) {
  if (!edit.single_use(id)) return kNone;
  const Node& user = edit.node(edit.users(id)[0]);
  return user.op == op && user.outputs.size() == 1 ? user.outputs[0] : kNone;
}

// Where(IsNaN(p), 0, p): what PyTorch adds for rows that are masked throughout.
ValueId nan_replaced(Editor& edit, ValueId p) {
  if (edit.users(p).size() != 2 || edit.graph.is_output(p)) return kNone;
  for (const NodeId user : edit.users(p)) {
    const Node& node = edit.node(user);
    if (node.op != Op::Where || node.inputs[2] != p || constant_scalar(edit.graph, node.inputs[1]) != 0.0F) continue;
    const Node* test = edit.made_by(node.inputs[0], Op::IsNaN);
    if (test && test->inputs[0] == p) return node.outputs[0];
  }
  return kNone;
}

bool is_false(const Value& value) {
  if (!value.constant() || value.dtype != DType::boolean) return false;
  const auto all = value.data->as<bool>();
  return std::ranges::none_of(all, [](bool one) { return one; });
}

// Whether `id` is the question which rows of the mask hide all keys.
bool asks_for_hidden(Editor& edit, ValueId id, ValueId mask) {
  const Node* equal = edit.made_by(id, Op::Equal);
  if (!equal || constant_scalar(edit.graph, equal->inputs[1]) != -std::numeric_limits<float>::infinity()) return false;
  const Node* most = edit.made_by(equal->inputs[0], Op::ReduceMax);
  if (!most || mask == kNone || most->inputs[0] != mask || most->attrs.i("keepdims", 1) != 1) return false;
  const auto rank = static_cast<std::int64_t>(edit.value(mask).shape.size());
  const std::vector<std::int64_t> axes = most->attrs.ints("axes");
  return axes.size() == 1 && normalize_axis(axes[0], rank) == rank - 1;
}

// Where(hidden, 0, p): what ONNX's own Attention adds for such rows.
ValueId hidden_replaced(Editor& edit, ValueId p, Found& found) {
  const ValueId replaced = sole_result(edit, p, Op::Where);
  if (replaced == kNone) return kNone;
  const Node& node = edit.node(edit.producer(replaced));
  if (node.inputs[2] != p || constant_scalar(edit.graph, node.inputs[1]) != 0.0F) return kNone;
  if (edit.value(replaced).shape != edit.value(p).shape) return kNone;
  found.hidden_is_zero = asks_for_hidden(edit, node.inputs[0], found.mask);
  return found.hidden_is_zero || is_false(edit.value(node.inputs[0])) ? replaced : kNone;
}

bool find_result(Editor& edit, ValueId p, Found& found) {
  if (const ValueId replaced = hidden_replaced(edit, p, found); replaced != kNone) p = replaced;
  if (const ValueId replaced = nan_replaced(edit, p); replaced != kNone) {
    p = replaced;
    found.nan_is_zero = true;
  }
  if (const ValueId bytes = sole_result(edit, p, Op::QuantizeLinear); bytes != kNone) p = bytes;
  found.y = sole_result(edit, p, Op::MatMul);
  if (found.y == kNone) return false;
  const Node& product = edit.node(edit.producer(found.y));
  if (product.inputs.size() > 2 || !product.attrs.items().empty() || product.inputs[0] != p) return false;
  found.v = bytes_of(edit, product.inputs[1]);
  // Floats that become bytes at once, where the operands are bytes, are bytes.
  const ValueId bytes = sole_result(edit, found.y, Op::QuantizeLinear);
  if (bytes != kNone && in_bytes(edit.value(bytes)) && in_bytes(edit.value(found.v))) found.y = bytes;
  return true;
}

// The tensor before Reshape to [batch, tokens, heads, depth] and a Transpose by `perm`: [batch, tokens, heads · depth].
// Factors between the two are taken along where there is a scale for them.
ValueId before_heads(Editor& edit, ValueId id, const Perm& perm, double* scale = nullptr) {
  const Node* transpose = edit.made_by(id, Op::Transpose);
  if (!transpose || perm_of(edit.graph, *transpose) != perm) return kNone;
  double factor = 1;
  const ValueId parts = scale ? without_factors(edit, transpose->inputs[0], factor) : transpose->inputs[0];
  const Node* reshape = edit.made_by(parts, Op::Reshape);
  if (!reshape) return kNone;
  const Dims &flat = edit.value(reshape->inputs[0]).shape, &parted = edit.value(reshape->outputs[0]).shape;
  if (flat.size() != 3 || parted.size() != 4 || flat[0] != parted[0] || flat[1] != parted[1]) return kNone;
  if (scale) *scale *= factor;
  return reshape->inputs[0];
}

// kᵀ by way of [batch · heads, tokens, depth], where that is made from k: k itself.
ValueId before_batched_transpose(Editor& edit, ValueId id) {
  const Node* outer = edit.made_by(id, Op::Reshape);
  const Node* turn = outer ? edit.made_by(outer->inputs[0], Op::Transpose) : nullptr;
  if (!turn || perm_of(edit.graph, *turn) != Perm{0, 2, 1}) return kNone;
  const Node* inner = edit.made_by(turn->inputs[0], Op::Reshape);
  if (!inner) return kNone;
  const Dims &k = edit.value(inner->inputs[0]).shape, &turned = edit.value(id).shape;
  const bool fits = k.size() == 4 && turned.size() == 4 && k[0] == turned[0] && k[1] == turned[1] &&
                    k[2] == turned[3] && k[3] == turned[2];
  const bool whole = edit.value(inner->outputs[0]).shape == Dims{k[0] * k[1], k[2], k[3]};
  return fits && whole ? inner->inputs[0] : kNone;
}

// The [batch, heads / times, tokens, depth] whose heads are each repeated some times in `id`; `id` itself where none
// is.
ValueId before_repeats(Editor& edit, ValueId id) {
  const Node* joined = edit.made_by(id, Op::Reshape);
  const Node* spread = joined ? edit.made_by(joined->inputs[0], Op::Expand) : nullptr;
  const Node* apart = spread ? edit.made_by(spread->inputs[0], Op::Reshape) : nullptr;
  if (!apart) return id;
  const Dims &few = edit.value(apart->inputs[0]).shape, &many = edit.value(id).shape;
  if (few.size() != 4 || many.size() != 4 || few[1] == 0) return id;
  const Dims one{few[0], few[1], 1, few[2], few[3]}, times{few[0], few[1], many[1] / few[1], few[2], few[3]};
  const bool fits = edit.value(apart->outputs[0]).shape == one && edit.value(spread->outputs[0]).shape == times;
  return fits ? apart->inputs[0] : id;
}

// k of kᵀ, where that is made from it; of factors, what they are applied to.
ValueId before_turn(Editor& edit, ValueId turned, double& scale) {
  const Node* turn = edit.made_by(turned, Op::Transpose);
  if (turn && perm_of(edit.graph, *turn) == Perm{0, 1, 3, 2}) return without_factors(edit, turn->inputs[0], scale);
  return before_batched_transpose(edit, turned);
}

// How many heads keys and values have, where those of the queries share them.
std::int64_t shared_heads(Editor& edit, const Found& found) {
  double scale = 1;
  const ValueId k = before_turn(edit, found.k, scale);
  if (k == kNone) return edit.value(found.q).shape[1];
  const std::int64_t of_k = edit.value(before_repeats(edit, k)).shape[1];
  const std::int64_t of_v = edit.value(before_repeats(edit, found.v)).shape[1];
  return of_k == of_v ? of_k : edit.value(found.q).shape[1];
}

ValueId keys(Editor& edit, ValueId turned, bool shared, double& scale) {
  if (const ValueId flat = before_heads(edit, turned, {0, 2, 3, 1}, &scale); flat != kNone) return flat;
  ValueId k = before_turn(edit, turned, scale);
  if (shared) k = before_repeats(edit, k);
  if (k == kNone) {
    k = edit.add_like(turned, "/turned");
    std::swap(edit.value(k).shape[2], edit.value(k).shape[3]);
    Attrs attrs;
    attrs.set("perm", Perm{0, 1, 3, 2});
    edit.add(Op::Transpose, edit.value(turned).name, {turned}, {k}, attrs);
  }
  const ValueId flat = before_heads(edit, k, {0, 2, 1, 3}, &scale);
  return flat != kNone ? flat : k;
}

ValueId heads_of(Editor& edit, ValueId id, double* scale = nullptr) {
  const ValueId flat = before_heads(edit, id, {0, 2, 1, 3}, scale);
  return flat != kNone ? flat : id;
}

// The [batch, tokens, heads · depth] that Transpose and Reshape make of y; kNone where they don't.
ValueId joined(Editor& edit, ValueId y) {
  const ValueId tokens = sole_result(edit, y, Op::Transpose);
  if (tokens == kNone || perm_of(edit.graph, edit.node(edit.producer(tokens))) != Perm{0, 2, 1, 3}) return kNone;
  const ValueId out = sole_result(edit, tokens, Op::Reshape);
  if (out == kNone) return kNone;
  const Dims &parted = edit.value(tokens).shape, &shape = edit.value(out).shape;
  return shape == Dims{parted[0], parted[1], parted[2] * parted[3]} ? out : kNone;
}

// All in float, or all operands in bytes of one scale.
bool same_kind(Editor& edit, const Found& found) {
  const auto quantized = [&](ValueId id) { return in_bytes(edit.value(id)); };
  const auto plain = [&](ValueId id) { return edit.value(id).dtype == DType::f32 && !edit.value(id).quant; };
  if (plain(found.q) && plain(found.k) && plain(found.v)) return plain(found.y);
  return quantized(found.q) && quantized(found.k) && quantized(found.v) && (plain(found.y) || quantized(found.y));
}

bool is_zero(const Value& value) {
  return value.constant() && std::ranges::all_of(value.data->as<float>(), [](float x) { return x == 0; });
}

bool fits(Editor& edit, const Found& found) {
  for (const ValueId id : {found.q, found.k, found.v, found.y}) {
    if (!four_static(edit.value(id))) return false;
  }
  const Dims &q = edit.value(found.q).shape, &k = edit.value(found.k).shape, &v = edit.value(found.v).shape;
  return q[0] == k[0] && q[0] == v[0] && q[1] == k[1] && q[1] == v[1] && q[3] == k[2] && k[3] == v[2] && count(q) > 0 &&
         count(v) > 0 && same_kind(edit, found);
}

bool fuse(Editor& edit, NodeId id) {
  const Node& softmax = edit.node(id);
  if (softmax.op != Op::Softmax || edit.value(softmax.outputs[0]).quant || edit.value(softmax.inputs[0]).quant) {
    return false;
  }
  const Value& scores = edit.value(softmax.inputs[0]);
  if (!four_static(scores)) return false;
  const std::int64_t axis = softmax.attrs.i("axis", -1);
  if (axis != -1 && axis != 3) return false;
  Found found;
  if (!find_scores(edit, softmax.inputs[0], found) || !find_result(edit, softmax.outputs[0], found)) return false;
  if (!fits(edit, found)) return false;
  Attrs attrs;
  attrs.set("heads", edit.value(found.q).shape[1]);
  if (found.nan_is_zero) attrs.set("nan_is_zero", std::int64_t{1});
  if (found.hidden_is_zero) attrs.set("hidden_is_zero", std::int64_t{1});
  if (found.mask != kNone && is_zero(edit.value(found.mask))) found.mask = kNone;
  const NodeId last = edit.producer(found.y);
  const NodeId product = edit.node(last).op == Op::MatMul ? last : edit.producer(edit.node(last).inputs[0]);
  const ValueId flat = joined(edit, found.y);
  if (flat != kNone) attrs.set("flat", std::int64_t{1});
  const ValueId out = flat == kNone ? found.y : flat;
  const std::string name = edit.node(product).name;
  const std::vector<ValueId> before = edit.node(product).inputs;
  const std::int64_t kv_heads = shared_heads(edit, found);
  const bool shared = kv_heads != edit.value(found.q).shape[1];
  if (shared) attrs.set("kv_heads", kv_heads);
  const ValueId v = shared ? before_repeats(edit, found.v) : found.v;
  const ValueId q = heads_of(edit, found.q, &found.scale), k = keys(edit, found.k, shared, found.scale);
  std::vector<ValueId> inputs{q, k, heads_of(edit, v), found.mask};
  attrs.set("scale", found.scale);
  const NodeId joiner = flat == kNone ? kNone : edit.producer(flat);
  const ValueId tokens = flat == kNone ? kNone : edit.node(joiner).inputs[0];
  if (joiner != kNone) edit.kill(joiner);
  if (tokens != kNone) edit.kill(edit.producer(tokens));
  edit.kill(last);
  if (last != product) edit.kill(product);
  edit.add(Op::Attention, name, inputs, {out}, attrs);
  for (const ValueId value : before) edit.prune(value);
  return true;
}

constexpr Rule kRules[] = {{"fuse_attention", fuse}};

}  // namespace

bool fuse_attention(Graph& graph, const Evaluator&) { return apply_rules(graph, kRules); }

}  // namespace quaver
