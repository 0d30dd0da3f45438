#include <map>
#include <utility>
#include <vector>

#include "base/error.h"
#include "graph/schema.h"
#include "model/file.h"
#include "model/hash.h"
#include "model/root.h"
#include "model/verifier.h"

namespace quaver {
namespace {

constexpr auto kBaseKind = static_cast<std::uint32_t>(SegmentKind::base);
constexpr auto kCanonicalKind = static_cast<std::uint32_t>(SegmentKind::canonical);

Graph compacted(const Graph& graph) {
  verify(graph);
  Graph live = graph;
  live.compact();
  return live;
}

std::uint64_t identity_of(const Graph& live, TensorTable& table) {
  Placement placement = place(table, {});
  placement.segments.clear();
  flatbuffers::FlatBufferBuilder out;
  return xxh3(write_root(out, live, table, placement, ""));
}

std::string hex(std::uint64_t hash) {
  std::string digits(16, '0');
  for (auto digit = digits.rbegin(); hash != 0; hash >>= 4) *digit++ = "0123456789abcdef"[hash & 15];
  return digits;
}

// What goes into the delta's own segment, and the rows: those first, then the base's.
struct Changes {
  std::vector<Blob> contents;
  Placement placement;
};

Changes changes(const TensorTable& base, const TensorTable& next) {
  Changes out;
  std::vector<std::uint32_t> own;
  std::map<std::uint64_t, std::uint32_t> shared;  // by their place in the base
  for (std::uint32_t i = 0; i < next.rows().size(); ++i) {
    const fb::Tensor* same = base.find(next.rows()[i], next.contents()[i]);
    if (same) {
      shared.emplace(same - base.rows().data(), i);
    } else {
      own.push_back(i);
    }
  }
  out.placement.row_of.resize(next.rows().size());
  const auto add = [&](std::uint32_t i, std::uint64_t offset, std::uint32_t segment) {
    const fb::Tensor& row = next.rows()[i];
    out.placement.row_of[i] = static_cast<std::uint32_t>(out.placement.rows.size());
    out.placement.rows.emplace_back(offset, row.size(), row.hash(), segment);
    return align_up(offset + row.size());
  };
  std::uint64_t offset = 0;
  for (const std::uint32_t i : own) {
    offset = add(i, offset, 0);
    out.contents.push_back(next.contents()[i]);
  }
  for (const auto& [at, i] : shared) add(i, base.rows()[at].offset(), 1);
  return out;
}

const fb::Segment* base_segment(const fb::Model& root) {
  for (const fb::Segment* segment : *root.segments()) {
    if (segment->kind() == kBaseKind) return segment;
  }
  return nullptr;
}

// The base's contents by their place; by size too, since an empty one may begin where the next does.
class BaseContents {
 public:
  explicit BaseContents(const TensorTable& table) : table_(table) {
    for (std::size_t i = 0; i < table.rows().size(); ++i) {
      at_.emplace(std::pair(table.rows()[i].offset(), table.rows()[i].size()), i);
    }
  }

  // Null where there is none such.
  const Blob* find(const fb::Tensor& row) const {
    const auto found = at_.find({row.offset(), row.size()});
    if (found == at_.end() || table_.rows()[found->second].hash() != row.hash()) return nullptr;
    return &table_.contents()[found->second];
  }

 private:
  const TensorTable& table_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::size_t> at_;
};

}  // namespace

std::uint64_t identity(const Graph& graph) {
  const Graph live = compacted(graph);
  TensorTable table(live);
  return identity_of(live, table);
}

std::vector<std::byte> write_delta(const Graph& base, const Graph& next) {
  const Graph old = compacted(base), live = compacted(next);
  TensorTable old_table(old), table(live);
  Changes delta = changes(old_table, table);
  const Bytes segment =
      segment_of({delta.placement.rows.begin(), delta.placement.rows.begin() + delta.contents.size()}, delta.contents);
  delta.placement.segments.emplace_back(kCanonicalKind, 0, kPage, segment.size(), xxh3(segment));
  delta.placement.segments.emplace_back(kBaseKind, 0, 0, old_table.size(), identity_of(old, old_table));
  Header header;
  header.magic = kDeltaMagic;
  flatbuffers::FlatBufferBuilder out;
  const Bytes root = write_root(out, live, table, delta.placement, "quaver " QUAVER_VERSION);
  return finish_file(header, begin_file(delta.placement, segment), root);
}

Graph apply_delta(const Graph& base, Blob delta, const std::string& where) {
  const VerifiedFile file(std::move(delta), where, FileKind::delta);
  file.verify_contents();
  const fb::Segment* segment = base_segment(file.root());
  if (!segment) fail(Status::corrupt_file, where, ": damaged: it does not name its base");
  const Graph live = compacted(base);
  TensorTable table(live);
  if (const std::uint64_t is = identity_of(live, table); is != segment->hash()) {
    fail(Status::invalid_input, where, ": made for the model ", hex(segment->hash()), ", given ", hex(is),
         "; apply it to the model it was made from, or load the new model whole");
  }
  const BaseContents contents(table);
  return graph_of(
      file.root(),
      [&](std::uint32_t index) -> Blob {
        const fb::Tensor& row = *file.root().tensors()->Get(index);
        if (file.root().segments()->Get(row.segment())->kind() != kBaseKind) return file.contents(index);
        const Blob* same = contents.find(row);
        if (!same) fail(Status::corrupt_file, where, ": damaged: the base has no tensor where it says");
        return *same;
      },
      where);
}

}  // namespace quaver
