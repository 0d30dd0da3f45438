// Graphs to roots and back; the file around a root.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "model/layout.h"
#include "model/tensor_table.h"
#include "quaver_generated.h"

namespace quaver {

using Bytes = std::vector<std::byte>;

// Where the constants lie.
struct Placement {
  std::vector<fb::Tensor> rows;
  std::vector<std::uint32_t> row_of;  // the row of the table's i-th contents
  std::vector<fb::Segment> segments;
};

// All of a table's contents in one segment (`segment`) that begins at the file's first page.
Placement place(const TensorTable& table, const Bytes& segment);
// That segment.
Bytes segment_of(const std::vector<fb::Tensor>& rows, const std::vector<Blob>& contents);

// Of a compacted graph, whose constants are in the table. `packed` are rows that `out` has already.
using PackedRows = std::vector<flatbuffers::Offset<fb::Packed>>;
Bytes write_root(flatbuffers::FlatBufferBuilder& out, const Graph& graph, TensorTable& table,
                 const Placement& placement, const std::string& producer, const PackedRows& packed = {});

// A file from its start to the end of the first segment; then more segments; then the end.
Bytes begin_file(const Placement& placement, const Bytes& segment);
Bytes finish_file(Header header, Bytes file, const Bytes& root);

// The graph of a verified root; `contents` gives a constant's bytes by the index of its row.
using ContentsOf = std::function<Blob(std::uint32_t)>;
Graph graph_of(const fb::Model& root, const ContentsOf& contents, const std::string& where);

}  // namespace quaver
