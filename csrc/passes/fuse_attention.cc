// softmax(q · kᵀ · scale + mask) · v, as exporters spell it, becomes one Attention.
//
// Found from the Softmax: scores before it, through scalar factors, a mask and what rounds scores to bytes; the product
// with v after it, likewise. What parts heads (Reshape to [batch, tokens, heads, depth] and Transpose) and joins them
// again is Attention's own addressing. Scores and weights that the model rounds to bytes are not rounded so inside:
// what is left out is an error of the quantization only.
#include <algorithm>
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
  bool nan_is_zero = false;
};

// The operand beside a constant number, whose factor it takes along: a product or a quotient.
ValueId without_factor(Editor& edit, ValueId id, double& factor) {
  for (const Op op : {Op::Mul, Op::Div}) {
    const Node* node = edit.made_by(id, op);
    if (!node || !node->attrs.items().empty() || edit.value(id).quant) continue;
    for (std::size_t side = 0; side < (op == Op::Mul ? 2U : 1U); ++side) {
      const std::optional<float> c = constant_scalar(edit.graph, node->inputs[1 - side]);
      const ValueId x = node->inputs[side];
      if (!c || edit.value(x).shape.size() != edit.value(id).shape.size()) continue;
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

bool find_result(Editor& edit, ValueId p, Found& found) {
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
ValueId before_heads(Editor& edit, ValueId id, const Perm& perm) {
  const Node* transpose = edit.made_by(id, Op::Transpose);
  if (!transpose || perm_of(edit.graph, *transpose) != perm) return kNone;
  const Node* reshape = edit.made_by(transpose->inputs[0], Op::Reshape);
  if (!reshape) return kNone;
  const Dims &flat = edit.value(reshape->inputs[0]).shape, &parted = edit.value(reshape->outputs[0]).shape;
  if (flat.size() != 3 || parted.size() != 4 || flat[0] != parted[0] || flat[1] != parted[1]) return kNone;
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

ValueId keys(Editor& edit, ValueId turned) {
  if (const ValueId flat = before_heads(edit, turned, {0, 2, 3, 1}); flat != kNone) return flat;
  ValueId k = before_batched_transpose(edit, turned);
  if (const Node* turn = edit.made_by(turned, Op::Transpose); turn && perm_of(edit.graph, *turn) == Perm{0, 1, 3, 2}) {
    k = turn->inputs[0];
  }
  if (k == kNone) {
    k = edit.add_like(turned, "/turned");
    std::swap(edit.value(k).shape[2], edit.value(k).shape[3]);
    Attrs attrs;
    attrs.set("perm", Perm{0, 1, 3, 2});
    edit.add(Op::Transpose, edit.value(turned).name, {turned}, {k}, attrs);
  }
  const ValueId flat = before_heads(edit, k, {0, 2, 1, 3});
  return flat != kNone ? flat : k;
}

ValueId heads_of(Editor& edit, ValueId id) {
  const ValueId flat = before_heads(edit, id, {0, 2, 1, 3});
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
  attrs.set("scale", found.scale);
  if (found.nan_is_zero) attrs.set("nan_is_zero", std::int64_t{1});
  const NodeId last = edit.producer(found.y);
  const NodeId product = edit.node(last).op == Op::MatMul ? last : edit.producer(edit.node(last).inputs[0]);
  const ValueId flat = joined(edit, found.y);
  if (flat != kNone) attrs.set("flat", std::int64_t{1});
  const ValueId out = flat == kNone ? found.y : flat;
  const std::string name = edit.node(product).name;
  const std::vector<ValueId> before = edit.node(product).inputs;
  std::vector<ValueId> inputs{heads_of(edit, found.q), keys(edit, found.k), heads_of(edit, found.v), found.mask};
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
