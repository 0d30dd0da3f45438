#include "base/dims.h"

#include <algorithm>

#include "base/error.h"

namespace quaver {

bool is_static(const Dims& dims) noexcept {
  return std::all_of(dims.begin(), dims.end(), [](std::int64_t d) { return d >= 0; });
}

std::int64_t count(const Dims& dims) {
  constexpr std::int64_t kLimit = std::int64_t{1} << 62;
  std::int64_t product = 1;
  for (std::int64_t d : dims) {
    if (d < 0) fail(Status::invalid_model, "a size is asked of the dynamic shape ", to_string(dims));
    if (d != 0 && product > kLimit / d) fail(Status::invalid_model, "the shape ", to_string(dims), " is too large");
    product *= d;
  }
  return product;
}

std::string to_string(const Dims& dims) {
  std::string out = "[";
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (i) out += ", ";
    out += dims[i] < 0 ? "?" : std::to_string(dims[i]);
  }
  return out + "]";
}

std::int64_t normalize_axis(std::int64_t axis, std::int64_t rank) {
  if (axis < -rank || axis >= rank) fail(Status::invalid_model, "axis ", axis, " is outside a tensor of rank ", rank);
  return axis < 0 ? axis + rank : axis;
}

Dims strides_of(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (std::size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return strides;
}

Dims broadcast(const Dims& a, const Dims& b) {
  const std::size_t rank = std::max(a.size(), b.size());
  Dims out(rank);
  for (std::size_t i = 0; i < rank; ++i) {
    const std::int64_t x = i + a.size() < rank ? 1 : a[i + a.size() - rank];
    const std::int64_t y = i + b.size() < rank ? 1 : b[i + b.size() - rank];
    if (x == y || y == 1) {
      out[i] = x;
    } else if (x == 1 || x == kDynamic) {
      out[i] = y;
    } else if (y == kDynamic) {
      out[i] = x;
    } else {
      fail(Status::invalid_model, "the shapes ", to_string(a), " and ", to_string(b), " do not broadcast");
    }
  }
  return out;
}

}  // namespace quaver
