// GatherElements, GatherND, ScatterElements, ScatterND: single elements, or slices, by their indices.
#include "graph/ops/common.h"

namespace quaver {
namespace {

constexpr AttrSpec kAxis[] = {{"axis", AttrKind::i}};
constexpr AttrSpec kBatch[] = {{"batch_dims", AttrKind::i}};
constexpr AttrSpec kReduction[] = {{"reduction", AttrKind::s}};
constexpr AttrSpec kAxisReduction[] = {{"axis", AttrKind::i}, {"reduction", AttrKind::s}};

void check_reduction(const InferContext& c) {
  const std::string reduction = c.attrs().s("reduction", "none");
  for (const char* known : {"none", "add", "mul", "min", "max"}) {
    if (reduction == known) return;
  }
  c.fail("reduction is '", reduction, "'; it may be none, add, mul, min or max");
}

// Indices within x along all dimensions but `axis`.
void check_indices(const InferContext& c) {
  expect_dtype(c, 1, {DType::i64, DType::i32});
  if (!c.ranked(0)) return;
  const Dims& x = c.input(0).shape;
  const std::size_t axis = axis_of(c, "axis", 0, x.size());
  c.expect_rank(1, x.size());
  if (!c.ranked(1)) return;
  const Dims& indices = c.input(1).shape;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (i != axis && x[i] != kDynamic && indices[i] > x[i]) {
      c.fail("indices of shape ", to_string(indices), " into ", to_string(x), " along axis ", axis);
    }
  }
}

void infer_gather_elements(InferContext& c) {
  check_indices(c);
  if (!c.ranked(1)) return c.output_unranked(0, c.input(0).dtype);
  c.output(0, c.input(0).dtype, c.input(1).shape);
}

void check_updates(const InferContext& c) {
  check_reduction(c);
  if (c.input(2).dtype == c.input(0).dtype) return;
  c.fail("updates are ", name_of(c.input(2).dtype), ", data ", name_of(c.input(0).dtype));
}

void infer_scatter_elements(InferContext& c) {
  check_indices(c);
  check_updates(c);
  if (c.ranked(1) && c.ranked(2) && is_static(c.input(1).shape) && is_static(c.input(2).shape) &&
      c.input(1).shape != c.input(2).shape) {
    c.fail("indices of shape ", to_string(c.input(1).shape), ", updates of ", to_string(c.input(2).shape));
  }
  output_same_shape(c, c.input(0).dtype);
}

// The dimensions of what indices [..., n] pick out of x behind `batch` shared ones; nothing where n is not known.
std::optional<Dims> picked(const InferContext& c, std::int64_t batch) {
  expect_dtype(c, 1, {DType::i64, DType::i32});
  if (!c.ranked(0) || !c.ranked(1)) return std::nullopt;
  const Dims &x = c.input(0).shape, &indices = c.input(1).shape;
  const auto rank = static_cast<std::int64_t>(x.size());
  if (indices.empty()) c.fail("the indices are a scalar");
  if (batch < 0 || batch >= static_cast<std::int64_t>(indices.size())) c.fail("batch_dims is ", batch);
  const std::int64_t n = indices.back();
  if (n == kDynamic) return std::nullopt;
  if (n > rank - batch) c.fail("indices of ", n, " numbers into ", to_string(x), " behind ", batch, " dimensions");
  for (std::int64_t i = 0; i < batch; ++i) {
    if (contradicts(x[i], indices[i])) c.fail("indices of shape ", to_string(indices), " into ", to_string(x));
  }
  Dims out(indices.begin(), indices.end() - 1);
  out.insert(out.end(), x.begin() + batch + n, x.end());
  return out;
}

void infer_gather_nd(InferContext& c) {
  const auto out = picked(c, c.attrs().i("batch_dims", 0));
  if (!out) return c.output_unranked(0, c.input(0).dtype);
  c.output(0, c.input(0).dtype, *out);
}

void infer_scatter_nd(InferContext& c) {
  check_updates(c);
  const auto updates = picked(c, 0);
  if (updates && c.ranked(2) && is_static(*updates) && is_static(c.input(2).shape) && c.input(2).shape != *updates) {
    c.fail("updates of shape ", to_string(c.input(2).shape), ", expected ", to_string(*updates));
  }
  output_same_shape(c, c.input(0).dtype);
}

}  // namespace

const OpSchema schema_GatherElements{2, 2, 1, 1, kAxis, infer_gather_elements};
const OpSchema schema_GatherND{2, 2, 1, 1, kBatch, infer_gather_nd};
const OpSchema schema_ScatterElements{3, 3, 1, 1, kAxisReduction, infer_scatter_elements};
const OpSchema schema_ScatterND{3, 3, 1, 1, kReduction, infer_scatter_nd};

}  // namespace quaver
