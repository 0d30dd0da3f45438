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
  return static_cast<std::uint32_t>(xxh3(std::as_bytes(std::span(layout.data(), layout.size()))));
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

// A file that is kept, and its name.
struct Kept {
  std::shared_ptr<const Blob> file;
  std::string where;
};

// Compares bytes of a file with their hash. `what` and `name`, which lies in the file, say what they are.
class Check {
 public:
  Check(std::shared_ptr<const Kept> kept, Bytes bytes, std::uint64_t hash, const char* what, std::string_view name)
      : kept_(std::move(kept)), bytes_(bytes), hash_(hash), what_(what), name_(name) {}

  void operator()() const {
    if (xxh3(bytes_) == hash_) return;
    fail(Status::corrupt_file, kept_->where, ": damaged: ", what_, " '", name_, "' do not match their hash");
  }

 private:
  std::shared_ptr<const Kept> kept_;
  Bytes bytes_;
  std::uint64_t hash_;
  const char* what_;
  std::string_view name_;
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
                                      block.size(), xxh3({block.data(), block.size()})));
    }
    segments.emplace_back(static_cast<std::uint32_t>(SegmentKind::packed), code_of(layout), begin, file.size() - begin,
                          xxh3(Bytes(file).subspan(begin)));
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
  const auto kept = std::make_shared<const Kept>(file, where);
  for (const fb::Value* value : *root.values()) {
    if (!value->tensor()) continue;
    const std::uint32_t index = *value->tensor();
    if (source[index]) continue;
    const fb::Tensor& tensor = *root.tensors()->Get(index);
    const Bytes bytes = all.subspan(root.segments()->Get(tensor.segment())->offset() + tensor.offset(), tensor.size());
    source[index] = bytes.data();
    if (!check) continue;
    Check compare(kept, bytes, tensor.hash(), "the contents of", value->name()->string_view());
    covered[index] && weights[index] ? cache.suspect(bytes.data(), std::move(compare)) : compare();
  }
  for (const fb::Packed* row : *root.packed()) {
    const Bytes bytes = all.subspan(root.segments()->Get(row->segment())->offset() + row->offset(), row->size());
    if (!source[row->tensor()]) continue;
    std::function<void()> compare;
    if (check) compare = Check(kept, bytes, row->hash(), "packed weights", row->kind()->string_view());
    cache.adopt(source[row->tensor()], row->kind()->str(), Blob(file, bytes.data(), bytes.size()), std::move(compare));
  }
}

}  // namespace quaver
