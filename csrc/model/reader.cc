#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "graph/schema.h"
#include "model/file.h"
#include "model/layout.h"
#include "model/packed.h"
#include "model/root.h"
#include "model/verifier.h"

namespace quaver {
namespace {

template <class T>
std::vector<T> items(const flatbuffers::Vector<T>* vector) {
  return vector ? std::vector<T>(vector->begin(), vector->end()) : std::vector<T>();
}

AttrValue read_attr(const fb::Attr& attr) {
  switch (attr.kind()) {
    case fb::AttrKind::i: return *attr.i();
    case fb::AttrKind::f: return *attr.f();
    case fb::AttrKind::s: return attr.s()->str();
    case fb::AttrKind::ints: return items(attr.ints());
    case fb::AttrKind::floats: return items(attr.floats());
  }
  fail(Status::internal, "the verifier passed an attribute of unknown kind");
}

Node read_node(const fb::Node& row) {
  Node node;
  node.op = *op_from_name(row.op()->string_view());
  node.name = row.name()->str();
  node.inputs = items(row.inputs());
  node.outputs = items(row.outputs());
  for (const fb::Attr* attr : *row.attrs()) node.attrs.set(attr->name()->string_view(), read_attr(*attr));
  node.note = row.note()->str();
  return node;
}

Value read_value(const fb::Value& row) {
  Value value;
  value.name = row.name()->str();
  value.dtype = static_cast<DType>(row.dtype());
  value.ranked = row.ranked();
  value.shape = items(row.shape());
  if (const fb::Quant* quant = row.quant()) {
    value.quant = Quant{items(quant->scale()), items(quant->zero_point()), quant->axis()};
  }
  return value;
}

}  // namespace

bool is_compiled_model(std::span<const std::byte> bytes) noexcept {
  // The last byte of the magic is left out: it tells later layouts apart.
  return bytes.size() >= kMagic.size() && std::memcmp(bytes.data(), kMagic.data(), kMagic.size() - 1) == 0;
}

Graph graph_of(const fb::Model& root, const ContentsOf& contents, const std::string& where) {
  Graph graph;
  graph.name = root.name()->str();
  graph.inputs = items(root.inputs());
  graph.outputs = items(root.outputs());
  for (const fb::Value* row : *root.values()) {
    graph.values.push_back(read_value(*row));
    if (row->tensor()) graph.values.back().data = contents(*row->tensor());
  }
  for (const fb::Node* row : *root.nodes()) graph.nodes.push_back(read_node(*row));
  try {
    verify(graph);
  } catch (const Error& error) {
    fail(Status::corrupt_file, where, ": ", error.what());
  }
  return graph;
}

namespace {

Graph read_graph(const VerifiedFile& file, const std::string& where) {
  return graph_of(file.root(), [&](std::uint32_t index) { return file.contents(index); }, where);
}

}  // namespace

Graph read_model(Blob bytes, const std::string& where, bool check_contents) {
  const VerifiedFile file(std::move(bytes), where, FileKind::model);
  if (check_contents) file.verify_contents();
  return read_graph(file, where);
}

Graph read_model(Blob bytes, const std::string& where, PackCache& cache, bool check_contents) {
  const VerifiedFile file(std::move(bytes), where, FileKind::model);
  const bool packed = file.root().packed() && file.root().packed()->size() > 0;
  if (check_contents && !packed) file.verify_contents();
  Graph graph = read_graph(file, where);
  if (packed) adopt_packed(file.bytes(), file.root(), graph, where, check_contents, cache);
  return graph;
}

}  // namespace quaver
