#include <bit>
#include <cstring>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "graph/schema.h"
#include "model/file.h"
#include "model/hash.h"
#include "model/layout.h"
#include "model/packed.h"
#include "quaver_generated.h"

namespace quaver {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

// The constants' distinct contents, in order of first use; they make up one segment.
class TensorTable {
 public:
  std::uint32_t add(const Blob& blob) {
    const std::span<const std::byte> bytes(blob.data(), blob.size());
    const std::uint64_t hash = xxh64(bytes);
    const auto [first, last] = by_hash_.equal_range(hash);
    for (auto it = first; it != last; ++it) {
      if (equal(contents_[it->second], bytes)) return it->second;
    }
    const auto index = static_cast<std::uint32_t>(rows_.size());
    by_hash_.emplace(hash, index);
    rows_.emplace_back(align_up(size_), bytes.size(), hash, 0);
    contents_.push_back(bytes);
    size_ = rows_.back().offset() + bytes.size();
    return index;
  }

  const std::vector<fb::Tensor>& rows() const { return rows_; }
  std::size_t size() const { return size_; }
  void copy_to(std::byte* segment) const {
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      if (!contents_[i].empty()) std::memcpy(segment + rows_[i].offset(), contents_[i].data(), contents_[i].size());
    }
  }

 private:
  static bool equal(std::span<const std::byte> a, std::span<const std::byte> b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
  }

  std::unordered_multimap<std::uint64_t, std::uint32_t> by_hash_;
  std::vector<fb::Tensor> rows_;
  std::vector<std::span<const std::byte>> contents_;
  std::size_t size_ = 0;
};

Offset<fb::Attr> write_attr(FlatBufferBuilder& out, const std::string& name, const AttrValue& value) {
  const auto key = out.CreateString(name);
  const auto* s = std::get_if<std::string>(&value);
  const auto* ints = std::get_if<std::vector<std::int64_t>>(&value);
  const auto* floats = std::get_if<std::vector<double>>(&value);
  const auto s_at = s ? out.CreateString(*s) : 0;
  const auto ints_at = ints ? out.CreateVector(*ints) : 0;
  const auto floats_at = floats ? out.CreateVector(*floats) : 0;
  fb::AttrBuilder attr(out);
  attr.add_name(key);
  attr.add_kind(static_cast<fb::AttrKind>(value.index()));  // the variant's order is the enum's
  if (const auto* i = std::get_if<std::int64_t>(&value)) attr.add_i(*i);
  if (const auto* f = std::get_if<double>(&value)) attr.add_f(*f);
  if (s) attr.add_s(s_at);
  if (ints) attr.add_ints(ints_at);
  if (floats) attr.add_floats(floats_at);
  return attr.Finish();
}

Offset<fb::Node> write_node(FlatBufferBuilder& out, const Node& node) {
  std::vector<Offset<fb::Attr>> attrs;
  for (const auto& [name, value] : node.attrs.items()) attrs.push_back(write_attr(out, name, value));
  return fb::CreateNode(out, out.CreateString(name_of(node.op)), out.CreateString(node.name),
                        out.CreateVector(node.inputs), out.CreateVector(node.outputs), out.CreateVector(attrs),
                        out.CreateString(node.note));
}

Offset<fb::Value> write_value(FlatBufferBuilder& out, const Value& value, TensorTable& tensors) {
  Offset<fb::Quant> quant = 0;
  if (value.quant) {
    quant = fb::CreateQuant(out, out.CreateVector(value.quant->scale), out.CreateVector(value.quant->zero_point),
                            value.quant->axis);
  }
  const auto name = out.CreateString(value.name);
  const auto shape = out.CreateVector(value.shape);
  fb::ValueBuilder row(out);
  row.add_name(name);
  row.add_dtype(static_cast<std::uint8_t>(value.dtype));
  row.add_ranked(value.ranked);
  row.add_shape(shape);
  if (value.quant) row.add_quant(quant);
  if (value.data) row.add_tensor(tensors.add(*value.data));
  return row.Finish();
}

void write_root(FlatBufferBuilder& out, const Graph& graph, const std::vector<Offset<fb::Value>>& values,
                const TensorTable& tensors, const std::vector<fb::Segment>& segments,
                const std::vector<Offset<fb::Packed>>& packed) {
  std::vector<Offset<fb::Node>> nodes;
  for (const Node& node : graph.nodes) nodes.push_back(write_node(out, node));
  fb::FinishModelBuffer(
      out, fb::CreateModel(out, out.CreateString("quaver " QUAVER_VERSION), out.CreateString(graph.name),
                           out.CreateVector(values), out.CreateVector(nodes), out.CreateVector(graph.inputs),
                           out.CreateVector(graph.outputs), out.CreateVectorOfStructs(tensors.rows()),
                           out.CreateVectorOfStructs(segments), packed.empty() ? 0 : out.CreateVector(packed)));
}

// Finds the row of a constant by its bytes' address.
TensorOf rows_by_address(const Graph& graph, TensorTable& tensors) {
  std::unordered_map<PackCache::Source, std::uint32_t> rows;
  for (const Value& value : graph.values) {
    if (value.data) rows.emplace(value.data->data(), tensors.add(*value.data));
  }
  return [rows = std::move(rows)](PackCache::Source source) -> std::optional<std::uint32_t> {
    const auto found = rows.find(source);
    if (found == rows.end()) return std::nullopt;
    return found->second;
  };
}

// Constants that blocks derive from come after the others: a system maps large pages around what it is asked for, and
// these are not asked for.
void add_packed_last(const Graph& graph, const std::vector<PackedSource>& blocks, TensorTable& tensors) {
  std::unordered_set<PackCache::Source> packed;
  for (const PackedSource& one : blocks) packed.insert(one.source);
  for (const bool last : {false, true}) {
    for (const Value& value : graph.values) {
      if (value.data && packed.contains(value.data->data()) == last) tensors.add(*value.data);
    }
  }
}

std::vector<std::byte> write(const Graph& graph, std::vector<PackedSource> blocks) {
  if constexpr (std::endian::native != std::endian::little) {
    fail(Status::unsupported, "model files are little endian, and this machine is not");
  }
  verify(graph);
  Graph live = graph;
  live.compact();

  FlatBufferBuilder out;
  TensorTable tensors;
  if (!blocks.empty()) add_packed_last(live, blocks, tensors);
  std::vector<Offset<fb::Value>> values;
  for (const Value& value : live.values) values.push_back(write_value(out, value, tensors));

  std::vector<std::byte> file(sizeof(Header));
  std::vector<fb::Segment> segments;
  if (!tensors.rows().empty()) {
    file.resize(kPage + tensors.size());
    tensors.copy_to(file.data() + kPage);
    segments.emplace_back(static_cast<std::uint32_t>(SegmentKind::canonical), 0, kPage, tensors.size(),
                          xxh64(std::span(file).subspan(kPage)));
  }
  const auto packed = append_packed(out, std::move(blocks),
                                    blocks.empty() ? TensorOf() : rows_by_address(live, tensors), file, segments);
  write_root(out, live, values, tensors, segments, packed);

  Header header;
  header.root_offset = align_up(file.size());
  header.root_size = out.GetSize();
  header.root_hash = xxh64(std::as_bytes(std::span(out.GetBufferPointer(), out.GetSize())));
  header.file_size = header.root_offset + header.root_size;
  file.resize(header.file_size);
  std::memcpy(file.data(), &header, sizeof header);
  std::memcpy(file.data() + header.root_offset, out.GetBufferPointer(), out.GetSize());
  return file;
}

}  // namespace

std::vector<std::byte> write_model(const Graph& graph) { return write(graph, {}); }

std::vector<std::byte> write_model(const Graph& graph, const PackCache& packed) {
  return write(graph, blocks_of(packed));
}

}  // namespace quaver
