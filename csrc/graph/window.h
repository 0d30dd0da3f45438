// A sliding window over the two spatial axes of a channels-last tensor: convolutions and pooling.
#pragma once

#include <cstdint>

#include "graph/attrs.h"

namespace quaver {

struct Window {
  std::int64_t kernel[2] = {1, 1};
  std::int64_t strides[2] = {1, 1};
  std::int64_t pads[4] = {0, 0, 0, 0};  // top, left, bottom, right
  std::int64_t dilations[2] = {1, 1};

  // Positions of the window along `axis` (0: height, 1: width) of an input of `size`; kDynamic gives kDynamic.
  // With ceil_mode a last window may hang over the end, but not begin in the padding behind it.
  // Throws Error(invalid_model) where the window does not fit once.
  std::int64_t out(int axis, std::int64_t size, bool ceil_mode = false) const;
};

// From the attributes strides, pads, dilations and auto_pad, for an input of height h and width w. Where a size is
// dynamic, auto_pad SAME_UPPER or SAME_LOWER leaves that axis' pads at 0. Throws Error(invalid_model).
Window resolve_window(const Attrs& attrs, std::int64_t h, std::int64_t w, std::int64_t kh, std::int64_t kw);

}  // namespace quaver
