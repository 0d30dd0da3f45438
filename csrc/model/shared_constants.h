// What a model can take over of what another made of its constants.
#pragma once

#include <set>

#include "graph/graph.h"

namespace quaver {

// The constants (by their bytes' address) of which all uses in `next` are uses in `base` too, by the same nodes with
// the same attributes, quantization and other constants: what was packed of them for `base` serves `next`.
std::set<const void*> constants_used_alike(const Graph& base, const Graph& next);

}  // namespace quaver
