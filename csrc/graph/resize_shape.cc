#include "graph/resize_shape.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"

namespace quaver {
namespace {

constexpr std::int64_t kLimit = std::int64_t{1} << 40;

// The resized dimensions, in the order of scales and sizes.
std::vector<std::size_t> resized_axes(const Dims& in, const Attrs& attrs) {
  const auto rank = static_cast<std::int64_t>(in.size());
  std::vector<std::size_t> axes;
  if (attrs.has("axes")) {
    for (std::int64_t axis : attrs.ints("axes")) axes.push_back(static_cast<std::size_t>(normalize_axis(axis, rank)));
  } else {
    for (std::size_t i = 0; i < in.size(); ++i) axes.push_back(i);
  }
  return axes;
}

void expect_entries(const char* what, std::size_t given, std::size_t axes) {
  if (given != axes) fail(Status::invalid_model, what, " has ", given, " entries for ", axes, " dimensions");
}

void by_scales(const Dims& in, const std::vector<std::size_t>& axes, const std::vector<float>& scales,
               ResizeShape& shape) {
  expect_entries("scales", scales.size(), axes.size());
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const std::int64_t size = in[axes[i]];
    if (!(scales[i] > 0) || !std::isfinite(scales[i])) fail(Status::invalid_model, "scales holds ", scales[i]);
    shape.scales[axes[i]] = scales[i];
    if (size == kDynamic) continue;
    const float out = std::floor(static_cast<float>(size) * scales[i]);
    if (out > static_cast<float>(kLimit))
      fail(Status::invalid_model, "scales holds ", scales[i], " for a size of ", size);
    shape.out[axes[i]] = static_cast<std::int64_t>(out);
  }
}

void by_sizes(const Dims& in, const std::vector<std::size_t>& axes, const std::vector<std::int64_t>& sizes,
              ResizeShape& shape) {
  expect_entries("sizes", sizes.size(), axes.size());
  for (std::size_t i = 0; i < axes.size(); ++i) {
    if (sizes[i] < 0 || sizes[i] > kLimit) fail(Status::invalid_model, "sizes holds ", sizes[i]);
    shape.out[axes[i]] = sizes[i];
    const std::int64_t size = in[axes[i]];
    shape.scales[axes[i]] = size > 0 ? static_cast<float>(sizes[i]) / static_cast<float>(size) : 0.0F;
  }
}

// One scale for all resized dimensions: the least (not_larger) or the greatest (not_smaller) of theirs.
void keep_aspect(const Dims& in, const std::vector<std::size_t>& axes, bool larger, ResizeShape& shape) {
  float scale = 0;
  for (std::size_t axis : axes) {
    const float own = shape.scales[axis];
    if (axis == axes.front() || (larger ? own > scale : own < scale)) scale = own;
  }
  const bool known = std::all_of(axes.begin(), axes.end(), [&](std::size_t axis) { return in[axis] > 0; });
  for (std::size_t axis : axes) {
    shape.scales[axis] = known ? scale : 0.0F;
    shape.out[axis] =
        known ? static_cast<std::int64_t>(std::floor(static_cast<float>(in[axis]) * scale + 0.5F)) : kDynamic;
  }
}

}  // namespace

ResizeShape resolve_resize(const Dims& in, const Attrs& attrs, const std::optional<std::vector<float>>& scales,
                           const std::optional<std::vector<std::int64_t>>& sizes) {
  const bool has_scales = scales && !scales->empty(), has_sizes = sizes && !sizes->empty();
  if (has_scales == has_sizes) fail(Status::invalid_model, "exactly one of scales and sizes must be given");
  ResizeShape shape{in, std::vector<float>(in.size(), 1.0F)};
  const auto axes = resized_axes(in, attrs);
  if (has_scales) {
    by_scales(in, axes, *scales, shape);
    return shape;
  }
  by_sizes(in, axes, *sizes, shape);
  const std::string policy = attrs.s("keep_aspect_ratio_policy", "stretch");
  if (policy == "not_larger" || policy == "not_smaller") {
    keep_aspect(in, axes, policy == "not_smaller", shape);
  } else if (policy != "stretch") {
    fail(Status::invalid_model, "keep_aspect_ratio_policy is '", policy,
         "'; it may be stretch, not_larger or not_smaller");
  }
  return shape;
}

Dims resize_output(const Dims& in, const Attrs& attrs, const std::optional<std::vector<float>>& scales,
                   const std::optional<std::vector<std::int64_t>>& sizes) {
  if (scales || sizes) return resolve_resize(in, attrs, scales, sizes).out;
  Dims out = in;
  for (std::size_t axis : resized_axes(in, attrs)) out[axis] = kDynamic;
  return out;
}

}  // namespace quaver
