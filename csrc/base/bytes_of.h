// The size of a tensor.
#pragma once

#include <cstddef>

#include "base/dims.h"
#include "base/dtype.h"
#include "base/error.h"

namespace quaver {

// Bytes of a dense tensor. Throws an Error of `status` where they pass 2^48: no sum of the sizes of many tensors wraps.
inline std::size_t bytes_of(DType dtype, const Dims& shape, Status status = Status::invalid_model) {
  constexpr std::size_t kMost = std::size_t{1} << 48;
  const auto elements = static_cast<std::size_t>(count(shape));
  if (elements > kMost / size_of(dtype)) fail(status, "the shape ", to_string(shape), " is too large");
  return elements * size_of(dtype);
}

}  // namespace quaver
