#include "graph/ops/common.h"

namespace quaver {
namespace {

constexpr AttrSpec kAxis[] = {{"axis", AttrKind::i}};

void infer_gather(InferContext& c) {
  const DType dtype = c.input(0).dtype;
  expect_dtype(c, 1, {DType::i64, DType::i32});
  if (!c.ranked(0) || !c.ranked(1)) return c.output_unranked(0, dtype);
  const Dims &x = c.input(0).shape, &indices = c.input(1).shape;
  const auto axis = static_cast<std::ptrdiff_t>(axis_of(c, "axis", 0, x.size()));
  Dims out(x.begin(), x.begin() + axis);
  out.insert(out.end(), indices.begin(), indices.end());
  out.insert(out.end(), x.begin() + axis + 1, x.end());
  c.output(0, dtype, std::move(out));
}

}  // namespace

const OpSchema schema_Gather{.min_inputs = 2,
                             .max_inputs = 2,
                             .min_outputs = 1,
                             .max_outputs = 1,
                             .attrs = kAxis,
                             .infer = infer_gather,
                             .moves = true};

}  // namespace quaver
