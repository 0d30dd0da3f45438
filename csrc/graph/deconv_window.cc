#include "graph/deconv_window.h"

#include <algorithm>
#include <string>

#include "base/dims.h"
#include "base/error.h"

namespace quaver {
namespace {

constexpr std::int64_t kLimit = std::int64_t{1} << 30;

// Attribute `name` for `axis`: a number of [0, kLimit], or `otherwise`.
std::int64_t pair(const Attrs& attrs, const char* name, int axis, std::int64_t otherwise) {
  if (!attrs.has(name)) return otherwise;
  const auto given = attrs.ints(name);
  if (given.size() != 2) fail(Status::invalid_model, name, " has ", given.size(), " values; two spatial axes take 2");
  if (given[axis] < 0 || given[axis] > kLimit) fail(Status::invalid_model, name, " holds ", given[axis]);
  return given[axis];
}

// Cuts `total`, where positive, from one axis: the odd element at the end for SAME_UPPER, at the beginning otherwise.
void cut(Window& window, int axis, std::int64_t total, bool upper) {
  total = std::max<std::int64_t>(total, 0);
  window.pads[axis] = upper ? total / 2 : total - total / 2;
  window.pads[axis + 2] = total - window.pads[axis];
}

std::int64_t resolve_axis(const Attrs& attrs, const std::string& auto_pad, int axis, std::int64_t size,
                          Window& window) {
  const std::int64_t added = pair(attrs, "output_padding", axis, 0);
  std::int64_t wanted = pair(attrs, "output_shape", axis, kDynamic);
  if (size == kDynamic || size > kLimit) return wanted;
  const std::int64_t stride = window.strides[axis];
  const std::int64_t full = (size - 1) * stride + added + (window.kernel[axis] - 1) * window.dilations[axis] + 1;
  if (wanted == kDynamic && (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER")) wanted = size * stride;
  if (wanted != kDynamic) {
    cut(window, axis, full - wanted, auto_pad == "SAME_UPPER");
    return wanted;
  }
  const std::int64_t out = full - window.pads[axis] - window.pads[axis + 2];
  if (out < 1) fail(Status::invalid_model, "the pads leave nothing of ", full, " positions");
  return out;
}

}  // namespace

DeconvWindow resolve_deconv_window(const Attrs& attrs, std::int64_t h, std::int64_t w, std::int64_t kh,
                                   std::int64_t kw) {
  // Conv's reading of the attributes; dynamic sizes keep it from resolving SAME, which means something else here.
  DeconvWindow result{resolve_window(attrs, kDynamic, kDynamic, kh, kw), {h, w}};
  const std::string auto_pad = attrs.s("auto_pad", "NOTSET");
  for (int axis = 0; axis < 2; ++axis) {
    result.out[axis] = resolve_axis(attrs, auto_pad, axis, result.out[axis], result.window);
  }
  return result;
}

}  // namespace quaver
