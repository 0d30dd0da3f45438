#include <bit>
#include <set>

#include "base/error.h"
#include "cpp/check.h"
#include "cpp/model_sample.h"

namespace {

using namespace sample;

bool same_bytes(const Blob& a, const Blob& b) {
  return a.size() == b.size() && (a.size() == 0 || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

bool same_attr(const AttrValue& a, const AttrValue& b) {
  const double* real = std::get_if<double>(&a);
  if (!real || a.index() != b.index()) return a == b;
  return std::bit_cast<std::uint64_t>(*real) == std::bit_cast<std::uint64_t>(std::get<double>(b));
}

void check_same(const Value& a, const Value& b) {
  CHECK_EQ(a.name, b.name);
  CHECK(a.dtype == b.dtype);
  CHECK_EQ(a.ranked, b.ranked);
  CHECK_EQ(a.shape, b.shape);
  CHECK(a.quant == b.quant);
  CHECK_EQ(a.constant(), b.constant());
  if (a.data && b.data) CHECK(same_bytes(*a.data, *b.data));
}

void check_same(const Node& a, const Node& b) {
  CHECK(a.op == b.op);
  CHECK_EQ(a.name, b.name);
  CHECK_EQ(a.inputs, b.inputs);
  CHECK_EQ(a.outputs, b.outputs);
  CHECK_EQ(a.note, b.note);
  CHECK_EQ(a.attrs.items().size(), b.attrs.items().size());
  for (const auto& [name, value] : a.attrs.items()) {
    CHECK(b.attrs.has(name));
    if (b.attrs.has(name)) CHECK(same_attr(value, *b.attrs.find(name)));
  }
}

// Constants' places: distinct addresses of their contents, from the file's start.
std::set<std::size_t> places(const Graph& graph, const Blob& file) {
  std::set<std::size_t> offsets;
  for (const Value& value : graph.values) {
    if (value.data) offsets.insert(static_cast<std::size_t>(value.data->data() - file.data()));
  }
  return offsets;
}

}  // namespace

TEST(file_round_trip_keeps_everything) {
  const Graph before = graph();
  const Graph after = read(write_model(before));
  CHECK_EQ(after.name, before.name);
  CHECK_EQ(after.inputs, before.inputs);
  CHECK_EQ(after.outputs, before.outputs);
  CHECK_EQ(after.values.size(), before.values.size());
  CHECK_EQ(after.nodes.size(), before.nodes.size());
  for (std::size_t i = 0; i < before.values.size(); ++i) check_same(after.values[i], before.values[i]);
  for (std::size_t i = 0; i < before.nodes.size(); ++i) check_same(after.nodes[i], before.nodes[i]);
}

TEST(file_is_reproducible) {
  const File file = write_model(graph());
  CHECK(write_model(graph()) == file);
  CHECK(write_model(read(file)) == file);
}

TEST(file_constants_are_mapped_and_aligned) {
  const Blob file = blob(write_model(graph()));
  const Graph read = read_model(file, "model.quaver");
  for (const std::size_t offset : places(read, file)) {
    CHECK(offset >= kPage && offset < file.size());
    CHECK_EQ(offset % kAlignment, 0u);
  }
  CHECK(places(read, file).count(kPage) == 1);  // a segment begins at a page, its first tensor with it
}

TEST(file_stores_equal_contents_once) {
  const Blob file = blob(write_model(graph()));
  const Graph read = read_model(file, "model.quaver");
  std::size_t constants = 0;
  for (const Value& value : read.values) constants += value.constant();
  CHECK_EQ(constants, 4u);
  CHECK_EQ(places(read, file).size(), 3u);
}

TEST(file_constants_outlive_the_bytes) {
  Graph read;
  {
    Blob file = blob(write_model(graph()));
    read = read_model(std::move(file), "model.quaver");
  }
  CHECK(same_bytes(*read.value(1).data, *graph().value(1).data));
}

TEST(file_of_unaligned_bytes_is_read) {
  const File file = write_model(graph());
  File shifted(file.size() + 1);
  std::copy(file.begin(), file.end(), shifted.begin() + 1);
  const Graph read = read_model(Blob(nullptr, shifted.data() + 1, file.size()), "model.quaver");
  for (const Value& value : read.values) {
    if (value.data) CHECK_EQ(reinterpret_cast<std::uintptr_t>(value.data->data()) % kAlignment, 0u);
  }
}

TEST(file_leaves_out_what_is_dead) {
  Graph with_dead = graph();
  const ValueId unused = with_dead.add_value("unused", DType::u8);
  with_dead.add_node(Op::Identity, "dead", {with_dead.inputs[0]}, {unused});
  with_dead.nodes.back().dead = true;
  with_dead.add_constant("orphan", DType::u8, {9999}, ramp(9999));
  CHECK(write_model(with_dead) == write_model(graph()));
}

TEST(file_keeps_empty_constants_and_graphs_without_constants) {
  Graph g;
  const ValueId x = g.add_value("x", DType::f32, {2});
  const ValueId y = g.add_value("y", DType::f32, {2});
  g.add_node(Op::Identity, "same", {x}, {y});
  g.inputs = {x};
  g.outputs = {y};
  const File plain = write_model(g);
  CHECK(plain.size() < kPage);
  CHECK_EQ(read(plain).nodes.size(), 1u);
  const ValueId none = g.add_constant("none", DType::f32, {0}, Blob());
  g.outputs.push_back(none);
  const Graph again = read(write_model(g));
  CHECK(again.value(again.outputs[1]).constant());
  CHECK_EQ(again.value(again.outputs[1]).shape, (Dims{0}));
}

TEST(file_refuses_to_write_an_invalid_graph) {
  Graph bad = graph();
  bad.nodes[0].inputs[0] = 999;
  CHECK_THROWS(write_model(bad), Error, "features/0");
}

TEST(file_knows_its_own) {
  const File file = write_model(graph());
  CHECK(is_compiled_model(file));
  CHECK(!is_compiled_model(std::span(file).first(4)));
  CHECK(!is_compiled_model(std::span(file).subspan(1)));
  CHECK(!is_compiled_model({}));
}
