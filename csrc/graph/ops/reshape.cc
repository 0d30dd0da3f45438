// Reshape: x, shape. 0 copies a dimension (unless allowzero), one -1 takes what is left.
#include <algorithm>

#include "graph/ops/common.h"

namespace quaver {
namespace {

constexpr AttrSpec kReshape[] = {{"allowzero", AttrKind::i}};

// The dimension -1 stands for, kDynamic where it depends on dimensions not known yet. Dimensions copied by a 0 cancel.
std::int64_t what_is_left(const InferContext& c, const Dims& x, const Dims& wanted, bool zero_copies) {
  Dims have, used;
  for (std::size_t i = 0; i < std::max(x.size(), wanted.size()); ++i) {
    const bool copied = zero_copies && i < wanted.size() && wanted[i] == 0;
    if (copied) continue;
    if (i < x.size()) have.push_back(x[i]);
    if (i < wanted.size() && wanted[i] != -1) used.push_back(wanted[i]);
  }
  if (!is_static(have)) return kDynamic;
  const std::int64_t total = count(have), part = count(used);
  if (part == 0 || total % part != 0) c.fail("the shape ", to_string(x), " cannot become ", to_string(wanted));
  return total / part;
}

Dims reshaped(const InferContext& c, const Dims& x, const Dims& wanted) {
  const bool zero_copies = c.attrs().i("allowzero", 0) == 0;
  if (std::count(wanted.begin(), wanted.end(), -1) > 1) c.fail("the shape holds -1 more than once");
  Dims out = wanted;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] < -1) c.fail("the shape holds ", wanted[i]);
    if (wanted[i] == 0 && zero_copies) {
      if (i >= x.size()) c.fail("the shape copies dimension ", i, " of ", to_string(x));
      out[i] = x[i];
    }
  }
  const auto rest = std::find(out.begin(), out.end(), -1);
  const auto left = std::find(wanted.begin(), wanted.end(), -1);
  if (left != wanted.end()) {
    out[left - wanted.begin()] = what_is_left(c, x, wanted, zero_copies);
  } else if (rest == out.end() && is_static(x) && count(out) != count(x)) {
    c.fail("the shape ", to_string(x), " cannot become ", to_string(out));
  }
  return out;
}

void infer_reshape(InferContext& c) {
  const DType dtype = c.input(0).dtype;
  c.expect_rank(1, 1);
  auto wanted = c.known_ints(1);
  if (!wanted && c.ranked(1)) wanted = dims_of_length(c.input(1).shape[0]);
  if (!wanted) return c.output_unranked(0, dtype);
  // One dimension that is not known is what the others leave; a 0 that is computed may be one or a copy.
  const bool follows = std::ranges::count(*wanted, kDynamic) <= 1 && std::ranges::count(*wanted, 0) == 0;
  if (c.ranked(0) && (c.input(1).constant() || follows)) {
    return c.output(0, dtype, reshaped(c, c.input(0).shape, *wanted));
  }
  std::ranges::replace(*wanted, 0, kDynamic);
  c.output(0, dtype, *wanted);
}

}  // namespace

const OpSchema schema_Reshape{.min_inputs = 2,
                              .max_inputs = 2,
                              .min_outputs = 1,
                              .max_outputs = 1,
                              .attrs = kReshape,
                              .infer = infer_reshape,
                              .alias = true,
                              .moves = true};

}  // namespace quaver
