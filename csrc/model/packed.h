// Packed weights in a compiled model: blocks of the cache that lie ready in the file, a segment for each layout.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/blob.h"
#include "graph/graph.h"
#include "ops/pack_cache.h"
#include "quaver_generated.h"

namespace quaver {

// One block of a cache.
struct PackedSource {
  PackCache::Source source;
  std::string kind;
  Blob block;
};
std::vector<PackedSource> blocks_of(const PackCache& cache);

// Appends the blocks to a file, layout by layout, and their segments to `segments`; gives their rows. `tensor_of` gives
// the row of a source, or nothing where the file does not have it: then its blocks are left out.
using TensorOf = std::function<std::optional<std::uint32_t>(PackCache::Source)>;
std::vector<flatbuffers::Offset<fb::Packed>> append_packed(flatbuffers::FlatBufferBuilder& out,
                                                           std::vector<PackedSource> blocks, const TensorOf& tensor_of,
                                                           std::vector<std::byte>& file,
                                                           std::vector<fb::Segment>& segments);

// Puts a verified file's blocks into the cache, to be compared with their hashes when they are first used. Constants
// that serve only as weights and have such blocks are compared when something is made of them anew; all others now,
// unless `check` is false. `graph` is the file's. Throws Error(corrupt_file).
void adopt_packed(const std::shared_ptr<const Blob>& file, const fb::Model& root, const Graph& graph,
                  const std::string& where, bool check, PackCache& cache);

}  // namespace quaver
