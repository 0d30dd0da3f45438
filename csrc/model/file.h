// model.quaver: a graph and its constants in one file that is mapped, not parsed (layout.h says how it is laid out).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/blob.h"
#include "graph/graph.h"
#include "ops/pack_cache.h"

namespace quaver {

// True where the bytes begin as a compiled model does; says nothing of the rest.
bool is_compiled_model(std::span<const std::byte> bytes) noexcept;

// What is live of the graph, as a file; the same bytes for the same graph.
// Throws Error(invalid_model) where verify() refuses the graph.
std::vector<std::byte> write_model(const Graph& graph);
// With a cache's blocks that derive from the graph's constants.
std::vector<std::byte> write_model(const Graph& graph, const PackCache& packed);

// The graph of a file. Its constants are pieces of `bytes`, which they keep alive; only bytes that don't begin at a
// multiple of 64 are copied. The header, the root and the structure are verified always; `check_contents` also compares
// the constants with their hashes, which reads the whole file once.
// `where` names the file in messages. Throws Error(corrupt_file), or Error(unsupported) where a newer Quaver wrote what
// this one does not know.
Graph read_model(Blob bytes, const std::string& where, bool check_contents = true);
// Puts the file's packed weights into the cache, too; what they spare reading is then compared only where it is read.
Graph read_model(Blob bytes, const std::string& where, PackCache& cache, bool check_contents = true);

// What a model is, whoever wrote its file: a hash over its graph and its constants.
std::uint64_t identity(const Graph& graph);

// What makes the model `next` out of `base`: the new graph, and the constants that the base lacks (layout.h).
std::vector<std::byte> write_delta(const Graph& base, const Graph& next);

// The new model. Its unchanged constants are the base's own bytes, the others pieces of `delta`; both are kept alive.
// Throws Error(invalid_input) where the base is another than the delta was made from, and as read_model().
Graph apply_delta(const Graph& base, Blob delta, const std::string& where);

}  // namespace quaver
