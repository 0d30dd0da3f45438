// Squeeze, Unsqueeze, Flatten: other shapes for the same bytes.
#include "graph/ops/common.h"

namespace quaver {
namespace {

constexpr AttrSpec kFlatten[] = {{"axis", AttrKind::i}};

void infer_squeeze(InferContext& c) {
  const DType dtype = c.input(0).dtype;
  if (!c.ranked(0)) return c.output_unranked(0, dtype);
  const Dims& x = c.input(0).shape;
  std::vector<bool> dropped(x.size());
  if (c.has_input(1)) {
    const auto axes = c.constant_ints(1);
    if (!axes) return c.output_unranked(0, dtype);
    dropped = marked_axes(c, *axes, x.size());
  } else {
    if (!is_static(x)) return c.output_unranked(0, dtype);
    for (std::size_t i = 0; i < x.size(); ++i) dropped[i] = x[i] == 1;
  }
  Dims out;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!dropped[i]) {
      out.push_back(x[i]);
    } else if (contradicts(x[i], 1)) {
      c.fail("axis ", i, " of ", to_string(x), " is not 1");
    }
  }
  c.output(0, dtype, std::move(out));
}

void infer_unsqueeze(InferContext& c) {
  const DType dtype = c.input(0).dtype;
  const auto axes = c.constant_ints(1);
  if (!c.ranked(0) || !axes) return c.output_unranked(0, dtype);
  const Dims& x = c.input(0).shape;
  const std::vector<bool> added = marked_axes(c, *axes, x.size() + axes->size());
  Dims out;
  auto next = x.begin();
  for (const bool one : added) out.push_back(one ? 1 : *next++);
  c.output(0, dtype, std::move(out));
}

std::int64_t product(Dims::const_iterator first, Dims::const_iterator last) {
  const Dims dims(first, last);
  return is_static(dims) ? count(dims) : kDynamic;
}

void infer_flatten(InferContext& c) {
  const DType dtype = c.input(0).dtype;
  if (!c.ranked(0)) return c.output(0, dtype, {kDynamic, kDynamic});
  const Dims& x = c.input(0).shape;
  const auto rank = static_cast<std::int64_t>(x.size());
  const std::int64_t axis = c.attrs().i("axis", 1);
  const auto split = x.begin() + (axis == rank ? rank : normalize_axis(axis, rank));
  c.output(0, dtype, {product(x.begin(), split), product(split, x.end())});
}

}  // namespace

const OpSchema schema_Squeeze{.min_inputs = 1,
                              .max_inputs = 2,
                              .min_outputs = 1,
                              .max_outputs = 1,
                              .attrs = {},
                              .infer = infer_squeeze,
                              .alias = true,
                              .moves = true};
const OpSchema schema_Unsqueeze{.min_inputs = 2,
                                .max_inputs = 2,
                                .min_outputs = 1,
                                .max_outputs = 1,
                                .attrs = {},
                                .infer = infer_unsqueeze,
                                .alias = true,
                                .moves = true};
const OpSchema schema_Flatten{.min_inputs = 1,
                              .max_inputs = 1,
                              .min_outputs = 1,
                              .max_outputs = 1,
                              .attrs = kFlatten,
                              .infer = infer_flatten,
                              .alias = true,
                              .moves = true};

}  // namespace quaver
