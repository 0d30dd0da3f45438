// A tensor's dimensions. -1 is a dimension not known before the run (a dynamic one).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace quaver {

using Dims = std::vector<std::int64_t>;
inline constexpr std::int64_t kDynamic = -1;

bool is_static(const Dims& dims) noexcept;
// Product of the dimensions; 1 for a scalar. Every dimension must be known.
// Throws Error(invalid_model) where the product passes 2^62 or a dimension is negative.
std::int64_t count(const Dims& dims);
// "[1, 224, 224, 3]", with "?" for a dynamic dimension.
std::string to_string(const Dims& dims);
// `axis` in [-rank, rank) brought to [0, rank); throws Error(invalid_model) otherwise.
std::int64_t normalize_axis(std::int64_t axis, std::int64_t rank);
// Elements between neighbours along each dimension of a contiguous tensor.
Dims strides_of(const Dims& dims);
// NumPy broadcasting of two shapes (dynamic dimensions pass through where nothing contradicts);
// throws Error(invalid_model) where they don't broadcast.
Dims broadcast(const Dims& a, const Dims& b);

}  // namespace quaver
