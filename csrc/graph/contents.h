// What follows from shapes of the integers that models compute from them.
#pragma once

#include <optional>

#include "graph/graph.h"

namespace quaver {

// Integers of a constant i64 or i32, or what is known of those of a value that is none: kDynamic where nothing is.
std::optional<Dims> known_ints(const Graph& graph, ValueId id);
// What is known of the only output of a node on integers: such as [?, 2048, 1] of Concat(Slice(Shape(x)), #2048, #1).
std::optional<Dims> known_output(const Graph& graph, const Node& node);

}  // namespace quaver
