#include "ops/lane_step.h"

namespace quaver {
namespace {

std::vector<std::int64_t> offsets(const Dims& dims, const std::vector<bool>& marks, bool mark) {
  const Dims strides = strides_of(dims);
  std::vector<std::int64_t> all{0};
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (marks[i] != mark || dims[i] == 1) continue;
    std::vector<std::int64_t> finer;
    finer.reserve(all.size() * static_cast<std::size_t>(dims[i]));
    for (const std::int64_t base : all) {
      for (std::int64_t k = 0; k < dims[i]; ++k) finer.push_back(base + k * strides[i]);
    }
    all = std::move(finer);
  }
  return all;
}

}  // namespace

Lanes::Lanes(const Dims& dims, const std::vector<bool>& along)
    : bases(offsets(dims, along, false)), taps(offsets(dims, along, true)) {
  const std::int64_t first = taps.size() > 1 ? taps[1] - taps[0] : 1;
  bool even = true;
  for (std::size_t j = 1; j < taps.size(); ++j) even &= taps[j] - taps[j - 1] == first;
  if (even) step = first;
}

Lanes Lanes::axis(const Dims& dims, std::size_t axis) {
  std::vector<bool> along(dims.size(), false);
  if (!along.empty()) along[axis] = true;
  return {dims, along};
}

std::size_t axis_of(const LowerContext& context, std::int64_t otherwise) {
  const auto rank = static_cast<std::int64_t>(context.input(0).shape.size());
  if (rank == 0) context.fail("a scalar has no axis");
  return static_cast<std::size_t>(normalize_axis(context.node.attrs.i("axis", otherwise), rank));
}

}  // namespace quaver
