#include "graph/ops/common.h"

namespace quaver {
namespace {

constexpr AttrSpec kSplit[] = {{"axis", AttrKind::i}, {"num_outputs", AttrKind::i}};

// Equal parts, the last smaller where it must be.
std::vector<std::int64_t> equal_parts(const InferContext& c, std::int64_t size, std::size_t parts) {
  const auto n = static_cast<std::int64_t>(parts);
  if (size == kDynamic) return std::vector<std::int64_t>(parts, kDynamic);
  const std::int64_t part = (size + n - 1) / n;
  const std::int64_t last = size - part * (n - 1);
  if (last < 0) c.fail("a dimension of ", size, " in ", n, " parts");
  std::vector<std::int64_t> sizes(parts, part);
  sizes.back() = last;
  return sizes;
}

std::vector<std::int64_t> part_sizes(const InferContext& c, std::int64_t size, std::size_t parts) {
  if (!c.has_input(1)) return equal_parts(c, size, parts);
  const auto sizes = c.constant_ints(1);
  if (!sizes) return std::vector<std::int64_t>(parts, kDynamic);
  if (sizes->size() != parts) c.fail(sizes->size(), " sizes for ", parts, " outputs");
  bool fits = true;
  std::int64_t left = size;
  for (const std::int64_t part : *sizes) {
    fits = fits && part >= 0 && (size == kDynamic || part <= left);
    if (fits && size != kDynamic) left -= part;
  }
  if (!fits || (size != kDynamic && left != 0)) {
    c.fail("sizes ", to_string(AttrValue(*sizes)), " of a dimension of ", to_string(Dims{size}));
  }
  return *sizes;
}

void infer_split(InferContext& c) {
  const DType dtype = c.input(0).dtype;
  const std::size_t parts = c.node().outputs.size();
  if (c.attrs().has("num_outputs") && c.attrs().i("num_outputs") != static_cast<std::int64_t>(parts)) {
    c.fail("num_outputs is ", c.attrs().i("num_outputs"), ", the node has ", parts, " outputs");
  }
  if (!c.ranked(0)) {
    for (std::size_t i = 0; i < parts; ++i) c.output_unranked(i, dtype);
    return;
  }
  Dims out = c.input(0).shape;
  const std::size_t axis = axis_of(c, "axis", 0, out.size());
  const std::vector<std::int64_t> sizes = part_sizes(c, out[axis], parts);
  for (std::size_t i = 0; i < parts; ++i) {
    out[axis] = sizes[i];
    c.output(i, dtype, out);
  }
}

}  // namespace

const OpSchema schema_Split{.min_inputs = 1,
                            .max_inputs = 2,
                            .min_outputs = 1,
                            .max_outputs = SIZE_MAX,
                            .attrs = kSplit,
                            .infer = infer_split,
                            .moves = true};

}  // namespace quaver
