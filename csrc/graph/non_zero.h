// Which elements are not zero, by their bytes.
#pragma once

#include <cstddef>

#include "base/dtype.h"

namespace quaver {

// Whether the element is anything but 0 (or -0); NaN is.
bool is_non_zero(DType dtype, const std::byte* element);

}  // namespace quaver
