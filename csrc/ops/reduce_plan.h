// How a reduction over any axes is walked: an outer loop over kept dimensions, taps over reduced ones, and runs of
// elements that lie together.
#pragma once

#include <vector>

#include "ops/op.h"

namespace quaver {

struct ReducePlan {
  // One reduced run of `n` elements behind `outer` kept ones: rows to be reduced whole.
  bool trailing = false;
  std::size_t outer = 1, n = 1;

  // Otherwise each of `bases` (offsets of the outer loop) plus each of `taps` is a run of `channels` kept elements,
  // taken element by element. In elements.
  std::vector<std::int64_t> bases, taps;
  std::size_t channels = 1;

  // Elements reduced into one.
  std::size_t reduced() const { return trailing ? n : taps.size(); }
};

// Of a node with the attributes axes and noop_with_empty_axes, or a constant second input for axes.
ReducePlan plan_reduce(const LowerContext& context);

}  // namespace quaver
