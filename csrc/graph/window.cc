#include "graph/window.h"

#include <algorithm>
#include <string>

#include "base/dims.h"
#include "base/error.h"

namespace quaver {
namespace {

// Far beyond any tensor, and small enough that no sum or product of two overflows.
constexpr std::int64_t kLimit = std::int64_t{1} << 30;

void read(const Attrs& attrs, const char* name, std::size_t n, std::int64_t lowest, std::int64_t* out) {
  if (!attrs.has(name)) return;
  const auto given = attrs.ints(name);
  if (given.size() != n) fail(Status::invalid_model, name, " has ", given.size(), " values; two spatial axes take ", n);
  for (std::size_t i = 0; i < n; ++i) {
    if (given[i] < lowest || given[i] > kLimit) {
      fail(Status::invalid_model, name, " holds ", given[i], "; it must be at least ", lowest);
    }
    out[i] = given[i];
  }
}

std::int64_t extent(const Window& window, int axis) { return (window.kernel[axis] - 1) * window.dilations[axis] + 1; }

void pad_same(Window& window, int axis, std::int64_t size, bool upper) {
  if (size == kDynamic) return;
  const std::int64_t stride = window.strides[axis];
  const std::int64_t positions = (size + stride - 1) / stride;
  const std::int64_t total = std::max<std::int64_t>((positions - 1) * stride + extent(window, axis) - size, 0);
  window.pads[axis] = upper ? total / 2 : total - total / 2;
  window.pads[axis + 2] = total - window.pads[axis];
}

}  // namespace

std::int64_t Window::out(int axis, std::int64_t size, bool ceil_mode) const {
  if (size == kDynamic) return kDynamic;
  const std::int64_t stride = strides[axis];
  const std::int64_t room = size + pads[axis] + pads[axis + 2] - extent(*this, axis);
  if (room < 0 && (!ceil_mode || room + stride - 1 < 0)) {
    fail(Status::invalid_model, "a window of ", extent(*this, axis), " does not fit into ", size, " padded by ",
         pads[axis], " and ", pads[axis + 2]);
  }
  if (!ceil_mode) return room / stride + 1;
  std::int64_t positions = (room + stride - 1) / stride + 1;
  if ((positions - 1) * stride >= size + pads[axis]) --positions;
  return positions;
}

Window resolve_window(const Attrs& attrs, std::int64_t h, std::int64_t w, std::int64_t kh, std::int64_t kw) {
  if (std::min(kh, kw) < 1 || std::max(kh, kw) > kLimit) {
    fail(Status::invalid_model, "the kernel is ", kh, " by ", kw);
  }
  Window window;
  window.kernel[0] = kh;
  window.kernel[1] = kw;
  read(attrs, "strides", 2, 1, window.strides);
  read(attrs, "dilations", 2, 1, window.dilations);
  const std::string mode = attrs.s("auto_pad", "NOTSET");
  if (mode == "NOTSET" || mode.empty()) {
    read(attrs, "pads", 4, 0, window.pads);
  } else if (mode == "SAME_UPPER" || mode == "SAME_LOWER") {
    pad_same(window, 0, h, mode == "SAME_UPPER");
    pad_same(window, 1, w, mode == "SAME_UPPER");
  } else if (mode != "VALID") {
    fail(Status::invalid_model, "auto_pad is '", mode, "'; it may be NOTSET, VALID, SAME_UPPER or SAME_LOWER");
  }
  return window;
}

}  // namespace quaver
