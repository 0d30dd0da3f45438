#include "ops/reduce_plan.h"

#include "ops/constant_ints.h"

namespace quaver {
namespace {

struct Axis {
  std::int64_t size, stride;
  bool reduced;
};

std::vector<bool> reduced_axes(const LowerContext& context, std::size_t rank) {
  const auto axes = context.has_input(1) ? constant_ints(context, 1) : context.node.attrs.ints("axes");
  if (axes.empty()) return std::vector<bool>(rank, context.node.attrs.i("noop_with_empty_axes", 0) == 0);
  std::vector<bool> reduced(rank, false);
  for (const std::int64_t axis : axes) {
    reduced[static_cast<std::size_t>(normalize_axis(axis, static_cast<std::int64_t>(rank)))] = true;
  }
  return reduced;
}

// The dimensions without those of size 1; neighbours that are both reduced or both kept are one.
std::vector<Axis> merged_axes(const Dims& dims, const std::vector<bool>& reduced) {
  const Dims strides = strides_of(dims);
  std::vector<Axis> axes;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 1) continue;
    if (!axes.empty() && axes.back().reduced == reduced[i]) {
      axes.back() = {axes.back().size * dims[i], strides[i], reduced[i]};
    } else {
      axes.push_back({dims[i], strides[i], reduced[i]});
    }
  }
  return axes;
}

// Offsets of all elements of the axes that are `reduced` or are not, in row-major order.
std::vector<std::int64_t> offsets_of(const std::vector<Axis>& axes, bool reduced) {
  std::vector<std::int64_t> offsets{0};
  for (const Axis& axis : axes) {
    if (axis.reduced != reduced) continue;
    std::vector<std::int64_t> finer;
    for (const std::int64_t base : offsets) {
      for (std::int64_t i = 0; i < axis.size; ++i) finer.push_back(base + i * axis.stride);
    }
    offsets = std::move(finer);
  }
  return offsets;
}

}  // namespace

ReducePlan plan_reduce(const LowerContext& context) {
  const Dims& dims = context.input(0).shape;
  std::vector<Axis> axes = merged_axes(dims, reduced_axes(context, dims.size()));
  ReducePlan plan;
  if (axes.size() <= 2 && !axes.empty() && axes.back().reduced) {
    plan.trailing = true;
    plan.n = static_cast<std::size_t>(axes.back().size);
    plan.outer = axes.size() == 2 ? static_cast<std::size_t>(axes[0].size) : 1;
    return plan;
  }
  if (!axes.empty() && !axes.back().reduced) {
    plan.channels = static_cast<std::size_t>(axes.back().size);
    axes.pop_back();
  }
  plan.bases = offsets_of(axes, false);
  plan.taps = offsets_of(axes, true);
  return plan;
}

}  // namespace quaver
