#include "model/packed.h"

#include <algorithm>
#include <tuple>

#include "base/error.h"
#include "model/hash.h"
#include "model/layout.h"

namespace quaver {
namespace {

using Bytes = std::span<const std::byte>;

std::string layout_of(const std::string& kind) { return kind.substr(0, kind.find(' ')); }

std::uint32_t code_of(const std::string& layout) {
  return static_cast<std::uint32_t>(xxh64(std::as_bytes(std::span(layout.data(), layout.size()))));
}

void append(std::vector<std::byte>& file, const Blob& block, std::size_t alignment) {
  file.resize(align_up(file.size(), alignment));
  file.insert(file.end(), block.data(), block.data() + block.size());
}

// True for each tensor that the graph uses as a weight and as nothing else.
std::vector<bool> only_weights(const fb::Model& root, const Graph& graph) {
  std::vector<bool> used(root.tensors()->size(), false), otherwise(root.tensors()->size(), false);
  const auto tensor_of = [&](ValueId id) { return root.values()->Get(id)->tensor(); };
  for (const Node& node : graph.nodes) {
    const bool weighs = node.op == Op::Conv || node.op == Op::ConvTranspose || node.op == Op::MatMul;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i] == kNone || !tensor_of(node.inputs[i])) continue;
      (weighs && i == 1 ? used : otherwise)[*tensor_of(node.inputs[i])] = true;
    }
  }
  for (const ValueId id : graph.outputs) {
    if (tensor_of(id)) otherwise[*tensor_of(id)] = true;
  }
  for (std::size_t i = 0; i < used.size(); ++i) used[i] = used[i] && !otherwise[i];
  return used;
}

// Compares bytes of a file with their hash.
class Check {
 public:
  Check(std::shared_ptr<const Blob> file, Bytes bytes, std::uint64_t hash, std::string what)
      : file_(std::move(file)), bytes_(bytes), hash_(hash), what_(std::move(what)) {}

  void operator()() const {
    if (xxh64(bytes_) != hash_) fail(Status::corrupt_file, what_, " do not match their hash");
  }

 private:
  std::shared_ptr<const Blob> file_;
  Bytes bytes_;
  std::uint64_t hash_;
  std::string what_;
};

}  // namespace

std::vector<PackedSource> blocks_of(const PackCache& cache) {
  std::vector<PackedSource> blocks;
  cache.each([&](PackCache::Source source, const std::string& kind, const Blob& block) {
    blocks.push_back({source, kind, block});
  });
  return blocks;
}

std::vector<flatbuffers::Offset<fb::Packed>> append_packed(flatbuffers::FlatBufferBuilder& out,
                                                           std::vector<PackedSource> blocks, const TensorOf& tensor_of,
                                                           std::vector<std::byte>& file,
                                                           std::vector<fb::Segment>& segments) {
  // By layout, tensor and kind, so that the same model gives the same file.
  using Key = std::tuple<std::string, std::uint32_t, std::string>;
  std::map<Key, Blob> sorted;
  for (PackedSource& one : blocks) {
    const auto tensor = tensor_of(one.source);
    if (tensor) sorted.emplace(Key(layout_of(one.kind), *tensor, one.kind), std::move(one.block));
  }
  std::vector<flatbuffers::Offset<fb::Packed>> rows;
  for (auto first = sorted.begin(); first != sorted.end();) {
    const std::string& layout = std::get<0>(first->first);
    file.resize(align_up(file.size(), kPage));
    const std::size_t begin = file.size();
    for (; first != sorted.end() && std::get<0>(first->first) == layout; ++first) {
      const auto& [key, block] = *first;
      append(file, block, kAlignment);
      rows.push_back(fb::CreatePacked(out, std::get<1>(key), out.CreateString(std::get<2>(key)),
                                      static_cast<std::uint32_t>(segments.size()), file.size() - block.size() - begin,
                                      block.size(), xxh64({block.data(), block.size()})));
    }
    segments.emplace_back(static_cast<std::uint32_t>(SegmentKind::packed), code_of(layout), begin, file.size() - begin,
                          xxh64(Bytes(file).subspan(begin)));
  }
  return rows;
}

void adopt_packed(const std::shared_ptr<const Blob>& file, const fb::Model& root, const Graph& graph,
                  const std::string& where, bool check, PackCache& cache) {
  std::vector<bool> covered(root.tensors()->size(), false);
  for (const fb::Packed* row : *root.packed()) covered[row->tensor()] = true;
  const std::vector<bool> weights = only_weights(root, graph);
  std::vector<const std::byte*> source(covered.size(), nullptr);
  const Bytes all(file->data(), file->size());
  for (const fb::Value* value : *root.values()) {
    if (!value->tensor()) continue;
    const std::uint32_t index = *value->tensor();
    if (source[index]) continue;
    const fb::Tensor& tensor = *root.tensors()->Get(index);
    const Bytes bytes = all.subspan(root.segments()->Get(tensor.segment())->offset() + tensor.offset(), tensor.size());
    source[index] = bytes.data();
    Check compare(file, bytes, tensor.hash(), text(where, ": damaged: the contents of '", value->name()->str(), "'"));
    if (!check) continue;
    covered[index] && weights[index] ? cache.suspect(bytes.data(), std::move(compare)) : compare();
  }
  for (const fb::Packed* row : *root.packed()) {
    const Bytes bytes = all.subspan(root.segments()->Get(row->segment())->offset() + row->offset(), row->size());
    if (!source[row->tensor()]) continue;
    std::string kind = row->kind()->str();
    std::function<void()> compare;
    if (check) compare = Check(file, bytes, row->hash(), text(where, ": damaged: packed weights (", kind, ")"));
    cache.adopt(source[row->tensor()], std::move(kind), Blob(file, bytes.data(), bytes.size()), std::move(compare));
  }
}

}  // namespace quaver
