// Attention: q, k, v, and a mask that is added to the scores. An operand is [batch, heads, tokens, depth] or, as the
// products that make it leave it, [batch, tokens, heads · depth]; the result is of the latter form where `flat` is set.
#include "graph/ops/common.h"

namespace quaver {
namespace {

constexpr AttrSpec kAttention[] = {{"heads", AttrKind::i},       {"kv_heads", AttrKind::i},
                                   {"scale", AttrKind::f},       {"flat", AttrKind::i},
                                   {"nan_is_zero", AttrKind::i}, {"hidden_is_zero", AttrKind::i}};

// [batch, heads, tokens, depth] of either form.
Dims four(InferContext& c, std::size_t i, std::int64_t heads) {
  const Dims& shape = c.input(i).shape;
  if (shape.size() == 4) {
    if (contradicts(shape[1], heads)) c.fail("'", c.input(i).name, "' has ", shape[1], " heads, not ", heads);
    return shape;
  }
  if (shape.size() != 3)
    c.fail("'", c.input(i).name, "' has the shape ", to_string(shape), "; rank 3 or 4 is expected");
  if (shape[2] == kDynamic) return {shape[0], heads, shape[1], kDynamic};
  if (shape[2] % heads != 0) c.fail("'", c.input(i).name, "' has ", shape[2], " columns for ", heads, " heads");
  return {shape[0], heads, shape[1], shape[2] / heads};
}

void infer_attention(InferContext& c) {
  const std::int64_t heads = c.attrs().i("heads", 1), kv_heads = c.attrs().i("kv_heads", heads);
  if (heads < 1 || kv_heads < 1 || heads % kv_heads != 0) c.fail(heads, " heads over ", kv_heads, " of keys");
  if (!c.ranked(0) || !c.ranked(1) || !c.ranked(2)) return c.output_unranked(0, c.real_dtype());
  const Dims q = four(c, 0, heads), k = four(c, 1, kv_heads), v = four(c, 2, kv_heads);
  if (contradicts(q[0], k[0]) || contradicts(k[0], v[0])) c.fail("its operands differ in their batch");
  if (contradicts(q[3], k[3])) c.fail("queries have depth ", q[3], ", keys ", k[3]);
  if (contradicts(k[2], v[2])) c.fail(k[2], " keys and ", v[2], " values");
  if (c.has_input(3)) {
    expect_dtype(c, 3, {DType::f32});
    if (c.ranked(3) &&
        (c.input(3).shape.empty() || c.input(3).shape.size() > 4 || contradicts(c.input(3).shape.back(), k[2]))) {
      c.fail("the mask has the shape ", to_string(c.input(3).shape), " for ", k[2], " keys");
    }
  }
  if (c.attrs().i("flat", 0)) {
    c.output(0, c.real_dtype(), {q[0], q[2], v[3] == kDynamic ? kDynamic : v[3] * heads});
  } else {
    c.output(0, c.real_dtype(), {q[0], heads, q[2], v[3]});
  }
}

}  // namespace

const OpSchema schema_Attention{3, 4, 1, 1, kAttention, infer_attention};

}  // namespace quaver
