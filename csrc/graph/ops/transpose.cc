#include <numeric>

#include "graph/ops/common.h"

namespace quaver {
namespace {

constexpr AttrSpec kTranspose[] = {{"perm", AttrKind::ints}};

void infer_transpose(InferContext& c) {
  const DType dtype = c.input(0).dtype;
  if (!c.ranked(0)) return c.output_unranked(0, dtype);
  const Dims& x = c.input(0).shape;
  std::vector<std::int64_t> reversed(x.size());
  std::iota(reversed.rbegin(), reversed.rend(), 0);
  const std::vector<std::int64_t> perm = c.attrs().ints("perm", reversed);
  if (perm.size() != x.size()) c.fail("perm ", to_string(perm), " for shape ", to_string(x));
  marked_axes(c, perm, x.size());
  Dims out;
  for (const std::int64_t axis : perm) {
    if (axis < 0) c.fail("perm holds ", axis);
    out.push_back(x[axis]);
  }
  c.output(0, dtype, std::move(out));
}

}  // namespace

const OpSchema schema_Transpose{.min_inputs = 1,
                                .max_inputs = 1,
                                .min_outputs = 1,
                                .max_outputs = 1,
                                .attrs = kTranspose,
                                .infer = infer_transpose,
                                .moves = true};

}  // namespace quaver
