// What several operators' inference shares.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "graph/schema.h"

namespace quaver {

// Attribute `name` (or `otherwise`) as an axis of a tensor of rank `rank`.
inline std::size_t axis_of(const InferContext& c, std::string_view name, std::int64_t otherwise, std::size_t rank) {
  return static_cast<std::size_t>(normalize_axis(c.attrs().i(name, otherwise), static_cast<std::int64_t>(rank)));
}

// Marks of the axes given, of a tensor of rank `rank`.
inline std::vector<bool> marked_axes(const InferContext& c, const std::vector<std::int64_t>& axes, std::size_t rank) {
  std::vector<bool> marked(rank, false);
  for (const std::int64_t given : axes) {
    const auto axis = static_cast<std::size_t>(normalize_axis(given, static_cast<std::int64_t>(rank)));
    if (marked[axis]) c.fail("axis ", given, " is given twice");
    marked[axis] = true;
  }
  return marked;
}

inline void expect_dtype(const InferContext& c, std::size_t i, std::initializer_list<DType> allowed) {
  const Value& value = c.input(i);
  std::string names;
  for (const DType dtype : allowed) {
    if (value.dtype == dtype) return;
    names += (names.empty() ? "" : " or ") + std::string(name_of(dtype));
  }
  c.fail("input '", value.name, "' is ", name_of(value.dtype), ", expected ", names);
}

// As many dimensions as a vector of `n` numbers gives, none of them known; nothing where that is not known or absurd.
inline std::optional<Dims> dims_of_length(std::int64_t n) {
  return n >= 0 && n <= 64 ? std::optional<Dims>(std::in_place, static_cast<std::size_t>(n), kDynamic) : std::nullopt;
}

// Output 0 with the first input's shape.
inline void output_same_shape(InferContext& c, DType dtype) {
  if (c.ranked(0)) {
    c.output(0, dtype, c.input(0).shape);
  } else {
    c.output_unranked(0, dtype);
  }
}

// Whether `dim` is known and differs from `expected`, also known.
constexpr bool contradicts(std::int64_t dim, std::int64_t expected) {
  return dim != kDynamic && expected != kDynamic && dim != expected;
}

// Fails where the channels of x [N, H, W, C] and weights [O, KH, KW, C / group] do not fit the attribute `group`.
inline void check_groups(const InferContext& c, const Dims& x, const Dims& w) {
  const std::int64_t group = c.attrs().i("group", 1);
  if (group < 1) c.fail("group is ", group);
  if (w[0] != kDynamic && w[0] % group != 0) c.fail(w[0], " output channels in ", group, " groups");
  if (x[3] != kDynamic && (x[3] % group != 0 || contradicts(x[3] / group, w[3]))) {
    c.fail("x has ", x[3], " channels, the weights take ", w[3], " in each of ", group, " groups");
  }
}

}  // namespace quaver
