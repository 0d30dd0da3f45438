// What an operator on a transposed tensor becomes when it works on the tensor itself.
#pragma once

#include <optional>
#include <vector>

#include "graph/graph.h"
#include "passes/permute.h"
#include "passes/rewrite.h"

namespace quaver {

struct Remapped {
  std::vector<ValueId> inputs;  // data inputs as they were, parameters renamed
  Attrs attrs;
  Perm below;  // op(transpose(x, perm)) = transpose(op'(x), below)
};

// Nothing where the operator depends on its layout, or on ranks or constants not known.
std::optional<Remapped> remap_axes(Graph& graph, const Node& node, const Perm& perm);

// A constant of at most perm's rank, brought to that rank and transposed.
ValueId transposed_constant(Graph& graph, ValueId id, const Perm& perm);
// The output of a new DequantizeLinear of the transposed constant, in place of node `id` and a Transpose behind it.
ValueId transposed_dequantize(Editor& edit, NodeId id, const Perm& perm);

}  // namespace quaver
