// Permutations of axes. Transposing x by `perm` gives y with y.shape[i] = x.shape[perm[i]].
#pragma once

#include <cstdint>
#include <vector>

#include "graph/graph.h"

namespace quaver {

using Perm = std::vector<std::int64_t>;

// A Transpose's permutation (reversal where it gives none); empty where its rank is not known.
Perm perm_of(const Graph& graph, const Node& transpose);
Perm inverse(const Perm& perm);
// Transposing by `first`, then by `second`.
Perm composed(const Perm& first, const Perm& second);
bool is_identity(const Perm& perm);
// Whether transposing `shape` leaves the elements' order in memory alone: only dimensions of size 1 move.
bool moves_nothing(const Perm& perm, const Dims& shape);
Dims permuted(const Dims& shape, const Perm& perm);
// A constant's bytes transposed; `shape` is what they had.
Blob permuted(const Blob& data, std::size_t element, const Dims& shape, const Perm& perm);

}  // namespace quaver
