#include <bit>
#include <cstring>
#include <numeric>
#include <unordered_map>
#include <unordered_set>

#include "base/error.h"
#include "graph/schema.h"
#include "model/file.h"
#include "model/hash.h"
#include "model/layout.h"
#include "model/packed.h"
#include "model/root.h"

namespace quaver {
namespace {

using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;

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

Offset<fb::Value> write_value(FlatBufferBuilder& out, const Value& value, TensorTable& table,
                              const Placement& placement) {
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
  if (value.data) row.add_tensor(placement.row_of[table.add(*value.data)]);
  return row.Finish();
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

Bytes write(const Graph& graph, std::vector<PackedSource> blocks) {
  verify(graph);
  Graph live = graph;
  live.compact();

  TensorTable tensors;
  if (!blocks.empty()) add_packed_last(live, blocks, tensors);
  tensors.add_all(live);
  const Bytes segment = segment_of(tensors.rows(), tensors.contents());
  Placement placement = place(tensors, segment);
  Bytes file = begin_file(placement, segment);

  const TensorOf tensor_of = blocks.empty() ? TensorOf() : rows_by_address(live, tensors);
  FlatBufferBuilder out;
  const PackedRows packed = append_packed(out, std::move(blocks), tensor_of, file, placement.segments);
  const Bytes root = write_root(out, live, tensors, placement, "quaver " QUAVER_VERSION, packed);
  return finish_file({}, std::move(file), root);
}

}  // namespace

Bytes write_root(FlatBufferBuilder& out, const Graph& graph, TensorTable& table, const Placement& placement,
                 const std::string& producer, const PackedRows& packed) {
  std::vector<Offset<fb::Value>> values;
  for (const Value& value : graph.values) values.push_back(write_value(out, value, table, placement));
  std::vector<Offset<fb::Node>> nodes;
  for (const Node& node : graph.nodes) nodes.push_back(write_node(out, node));
  fb::FinishModelBuffer(
      out, fb::CreateModel(out, out.CreateString(producer), out.CreateString(graph.name), out.CreateVector(values),
                           out.CreateVector(nodes), out.CreateVector(graph.inputs), out.CreateVector(graph.outputs),
                           out.CreateVectorOfStructs(placement.rows), out.CreateVectorOfStructs(placement.segments),
                           packed.empty() ? 0 : out.CreateVector(packed)));
  const auto* begin = reinterpret_cast<const std::byte*>(out.GetBufferPointer());
  return {begin, begin + out.GetSize()};
}

Bytes segment_of(const std::vector<fb::Tensor>& rows, const std::vector<Blob>& contents) {
  Bytes segment(rows.empty() ? 0 : rows.back().offset() + rows.back().size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (contents[i].size()) std::memcpy(segment.data() + rows[i].offset(), contents[i].data(), contents[i].size());
  }
  return segment;
}

Placement place(const TensorTable& table, const Bytes& segment) {
  Placement placement{table.rows(), std::vector<std::uint32_t>(table.rows().size()), {}};
  std::iota(placement.row_of.begin(), placement.row_of.end(), 0u);
  if (!table.rows().empty()) {
    placement.segments.emplace_back(static_cast<std::uint32_t>(SegmentKind::canonical), 0, kPage, segment.size(),
                                    xxh3(segment));
  }
  return placement;
}

Bytes begin_file(const Placement& placement, const Bytes& segment) {
  if constexpr (std::endian::native != std::endian::little) {
    fail(Status::unsupported, "model files are little endian, and this machine is not");
  }
  Bytes file(placement.segments.empty() ? sizeof(Header) : kPage);
  file.insert(file.end(), segment.begin(), segment.end());
  return file;
}

Bytes finish_file(Header header, Bytes file, const Bytes& root) {
  header.root_offset = align_up(file.size());
  header.root_size = root.size();
  header.root_hash = xxh3(root);
  header.file_size = header.root_offset + header.root_size;
  file.resize(header.file_size);
  std::memcpy(file.data(), &header, sizeof header);
  std::memcpy(file.data() + header.root_offset, root.data(), root.size());
  return file;
}

std::vector<std::byte> write_model(const Graph& graph) { return write(graph, {}); }

std::vector<std::byte> write_model(const Graph& graph, const PackCache& packed) {
  return write(graph, blocks_of(packed));
}

}  // namespace quaver
