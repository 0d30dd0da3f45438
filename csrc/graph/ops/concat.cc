#include "graph/ops/common.h"

namespace quaver {
namespace {

constexpr AttrSpec kAxis[] = {{"axis", AttrKind::i}};

// Joins `shape` to `out` along `axis`; known dimensions fill dynamic ones.
void append(const InferContext& c, Dims& out, const Dims& shape, std::size_t axis) {
  if (shape.size() != out.size()) c.fail("inputs of shapes ", to_string(out), " and ", to_string(shape));
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (i == axis) {
      out[i] = out[i] == kDynamic || shape[i] == kDynamic ? kDynamic : out[i] + shape[i];
    } else if (contradicts(out[i], shape[i])) {
      c.fail("inputs of shapes ", to_string(out), " and ", to_string(shape), " do not join along axis ", axis);
    } else if (out[i] == kDynamic) {
      out[i] = shape[i];
    }
  }
}

void infer_concat(InferContext& c) {
  const DType dtype = c.input(0).dtype;
  bool ranked = true;
  for (std::size_t i = 0; i < c.inputs(); ++i) {
    if (c.input(i).dtype != dtype) {
      c.fail("inputs '", c.input(0).name, "' and '", c.input(i).name, "' are ", name_of(dtype), " and ",
             name_of(c.input(i).dtype));
    }
    ranked &= c.ranked(i);
  }
  if (!c.attrs().has("axis")) c.fail("attribute 'axis' is missing");
  if (!ranked) return c.output_unranked(0, dtype);
  Dims out = c.input(0).shape;
  const std::size_t axis = axis_of(c, "axis", 0, out.size());
  for (std::size_t i = 1; i < c.inputs(); ++i) append(c, out, c.input(i).shape, axis);
  c.output(0, dtype, std::move(out));
}

}  // namespace

const OpSchema schema_Concat{.min_inputs = 1,
                             .max_inputs = SIZE_MAX,
                             .min_outputs = 1,
                             .max_outputs = 1,
                             .attrs = kAxis,
                             .infer = infer_concat,
                             .moves = true};

}  // namespace quaver
