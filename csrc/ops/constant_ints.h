// Indices, axes and sizes that must be known when a plan is made.
#pragma once

#include <vector>

#include "ops/op.h"

namespace quaver {

// Input i's integers, of either width. Throws Error(unsupported) where they are computed at run time.
inline std::vector<std::int64_t> constant_ints(const LowerContext& context, std::size_t i) {
  if (context.input(i).dtype == DType::i32) {
    const auto values = context.constant<std::int32_t>(i);
    return {values.begin(), values.end()};
  }
  if (context.input(i).dtype != DType::i64) context.fail("'", context.input(i).name, "' must hold integers");
  const auto values = context.constant<std::int64_t>(i);
  return {values.begin(), values.end()};
}

// Input i's axes of a tensor of rank `rank`; the first `n` where the input is left out.
inline std::vector<std::size_t> constant_axes(const LowerContext& context, std::size_t i, std::size_t rank,
                                              std::size_t n) {
  std::vector<std::size_t> axes;
  if (context.has_input(i)) {
    for (const std::int64_t axis : constant_ints(context, i)) {
      axes.push_back(static_cast<std::size_t>(normalize_axis(axis, static_cast<std::int64_t>(rank))));
    }
  } else {
    for (std::size_t axis = 0; axis < n; ++axis) axes.push_back(axis);
  }
  if (axes.size() != n || n > rank) context.fail(axes.size(), " axes for ", n, " entries and rank ", rank);
  return axes;
}

}  // namespace quaver
