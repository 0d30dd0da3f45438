// LayerNormalization: x, scale, bias, a residual added to x before, and factors of what is quantized. A second output
// is the first one times these factors, quantized.
#include "graph/ops/common.h"

namespace quaver {
namespace {

constexpr AttrSpec kLayerNorm[] = {{"axis", AttrKind::i}, {"epsilon", AttrKind::f}};

void expect_size(InferContext& c, std::size_t i, std::int64_t size) {
  if (!c.has_input(i) || !c.ranked(i) || !is_static(c.input(i).shape)) return;
  if (contradicts(count(c.input(i).shape), size)) {
    c.fail("'", c.input(i).name, "' has the shape ", to_string(c.input(i).shape), " where rows have ", size,
           " elements");
  }
}

void infer_layer_norm(InferContext& c) {
  if (c.ranked(0)) {
    const Dims& x = c.input(0).shape;
    if (x.empty()) c.fail("a scalar has no axis");
    const Dims row(x.begin() + static_cast<std::ptrdiff_t>(axis_of(c, "axis", -1, x.size())), x.end());
    if (is_static(row)) {
      expect_size(c, 1, count(row));
      expect_size(c, 2, count(row));
      expect_size(c, 4, count(row));
    }
    if (c.ranked(3) && c.input(3).shape.size() != x.size()) c.fail("the residual has another shape than x");
  }
  output_same_shape(c, c.real_dtype());
  if (c.node().outputs.size() < 2) return;
  if (c.ranked(0)) {
    c.output(1, DType::u8, c.input(0).shape);
  } else {
    c.output_unranked(1, DType::u8);
  }
}

}  // namespace

const OpSchema schema_LayerNormalization{2, 5, 1, 2, kLayerNorm, infer_layer_norm};

}  // namespace quaver
