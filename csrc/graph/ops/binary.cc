// Add, Sub, Mul, Div (with a fused clip) and PRelu: NumPy broadcasting.
#include "graph/ops/common.h"

namespace quaver {
namespace {

constexpr AttrSpec kClip[] = {{"lo", AttrKind::f}, {"hi", AttrKind::f}};

bool quantized(const Value& value) { return value.quant.has_value(); }

void infer_broadcast(InferContext& c) {
  const Value &a = c.input(0), &b = c.input(1);
  if (a.dtype != b.dtype && !quantized(a) && !quantized(b)) {
    c.fail("inputs '", a.name, "' and '", b.name, "' are ", name_of(a.dtype), " and ", name_of(b.dtype));
  }
  if (a.ranked && b.ranked) {
    c.output(0, c.real_dtype(), broadcast(a.shape, b.shape));
  } else {
    c.output_unranked(0, c.real_dtype());
  }
}

void infer_prelu(InferContext& c) {
  if (c.ranked(0) && c.ranked(1)) broadcast(c.input(0).shape, c.input(1).shape);
  output_same_shape(c, c.real_dtype());
}

}  // namespace

const OpSchema schema_Add{2, 2, 1, 1, kClip, infer_broadcast};
const OpSchema schema_Sub{2, 2, 1, 1, kClip, infer_broadcast};
const OpSchema schema_Mul{2, 2, 1, 1, kClip, infer_broadcast};
const OpSchema schema_Div{2, 2, 1, 1, kClip, infer_broadcast};
const OpSchema schema_PRelu{2, 2, 1, 1, {}, infer_prelu};

}  // namespace quaver
