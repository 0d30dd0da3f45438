// Packed weights in a file: used where they lie, compared with their hash when they are, and no substitute for checks.
#include <cstring>

#include "base/error.h"
#include "cpp/check.h"
#include "cpp/model_mutate.h"
#include "graph/schema.h"
#include "ops/pack_cache.h"

namespace {

using namespace sample;

const std::string kKind = "n16k4 3 0+4: 0";
constexpr std::size_t kBytes = 200, kSums = 32;

ValueId find(const Graph& graph, const std::string& name) {
  for (ValueId id = 0; id < graph.values.size(); ++id) {
    if (graph.values[id].name == name) return id;
  }
  return kNone;
}

const std::byte* weights_of(const Graph& graph) { return graph.value(find(graph, "conv.weight")).data->data(); }

void make(std::byte* out, std::size_t size, int seed) {
  for (std::size_t i = 0; i < size; ++i) out[i] = std::byte(seed + i * 5);
}

File packed_file() {
  const Graph g = graph();
  PackCache cache;
  cache.get(weights_of(g), kKind, kBytes, [](std::byte* out) { make(out, kBytes, 1); });
  cache.get(weights_of(g), "sums 4x27", kSums, [](std::byte* out) { make(out, kSums, 2); });
  cache.get(g.name.data(), "n16k4 of nothing in the file", 64, [](std::byte* out) { make(out, 64, 3); });
  return write_model(g, cache);
}

void never(std::byte*) { check::failed(__FILE__, __LINE__, "packed again"); }

struct Loaded {
  explicit Loaded(const File& file, bool check = true)
      : bytes(blob(file)), graph(read_model(bytes, "m", cache, check)) {}
  PackedBlock get(const std::string& kind, std::size_t size) {
    return cache.get(weights_of(graph), kind, size, &never);
  }
  Blob bytes;
  PackCache cache;
  Graph graph;
};

void load(const File& file) { const Loaded loaded(file); }

// With the bytes of `from` changed where they lie in the file.
File damaged(const std::byte* from, std::size_t size) {
  File file = packed_file();
  const auto at = std::search(file.begin(), file.end(), from, from + size);
  CHECK(at != file.end());
  *at ^= std::byte{1};
  return file;
}

}  // namespace

TEST(packed_blocks_are_used_in_place) {
  Loaded loaded(packed_file());
  const PackedBlock block = loaded.get(kKind, kBytes);
  std::byte wanted[kBytes];
  make(wanted, kBytes, 1);
  CHECK(std::memcmp(block->data(), wanted, kBytes) == 0);
  CHECK(block->data() > loaded.bytes.data() && block->data() < loaded.bytes.data() + loaded.bytes.size());
  CHECK_EQ(reinterpret_cast<std::uintptr_t>(block->data()) % kAlignment, 0U);
  CHECK_EQ(loaded.get("sums 4x27", kSums)->size(), kSums);
}

TEST(packed_files_are_the_same_and_still_models) {
  CHECK(packed_file() == packed_file());
  CHECK(write_model(read(packed_file())) == write_model(graph()));
}

TEST(packed_damage_is_seen_on_use) {
  std::byte block[kBytes];
  make(block, kBytes, 1);
  const File file = damaged(block, kBytes);
  Loaded loaded(file);
  CHECK_THROWS(loaded.get(kKind, kBytes), Error, "m: damaged: packed weights 'n16k4 3 0+4: 0' do not match their hash");
  CHECK_EQ(loaded.get("sums 4x27", kSums)->size(), kSums);
  CHECK_THROWS(read(file), Error, "segment 1 does not match its hash");
  CHECK_EQ(Loaded(file, false).get(kKind, kBytes)->size(), kBytes);
}

TEST(packed_block_of_another_size_is_refused) {
  Loaded loaded(packed_file());
  CHECK_THROWS(loaded.get(kKind, kBytes + 1), Error, "of 200 bytes, expected 201");
}

TEST(packed_constants_are_compared_when_they_are_read) {
  const Blob weights = ramp(108);
  Loaded loaded(damaged(weights.data(), weights.size()));
  loaded.get(kKind, kBytes);
  CHECK_THROWS(loaded.get("another layout", 64), Error, "m: damaged: the contents of 'conv.weight' do not match");
  CHECK_THROWS(loaded.cache.check_sources(), Error, "'conv.weight'");
  const Blob bias = ramp(16, 1);
  CHECK_THROWS(load(damaged(bias.data(), bias.size())), Error, "m: damaged: the contents of 'conv.bias'");
}

TEST(packed_weights_that_serve_otherwise_are_compared_at_once) {
  Graph g = graph();
  const ValueId copy = g.add_value("copy", DType::s8, {4, 3, 3, 3});
  g.add_node(Op::Identity, "copy", {find(g, "conv.weight")}, {copy});
  g.outputs.push_back(copy);
  PackCache cache;
  cache.get(weights_of(g), kKind, kBytes, [](std::byte* out) { make(out, kBytes, 1); });
  File file = write_model(g, cache);
  const Blob weights = ramp(108);
  *std::search(file.begin(), file.end(), weights.data(), weights.data() + weights.size()) ^= std::byte{1};
  CHECK_THROWS(load(file), Error, "the contents of 'conv.weight'");
}

TEST(packed_damaged_files_are_refused_or_safe) {
  const File intact = packed_file();
  int adopted = 0, refused = 0;
  for (int seed = 0; seed < 4000; ++seed) {
    File file = intact;
    Mutator(seed).damage(file);
    try {
      Loaded loaded(file, seed % 4 == 0);
      verify(loaded.graph);
      std::vector<std::pair<std::string, std::size_t>> kinds;
      loaded.cache.each([&](PackCache::Source, const std::string& kind, const Blob& one) {
        kinds.emplace_back(kind, one.size());
        CHECK(one.data() >= loaded.bytes.data() &&
              one.data() + one.size() <= loaded.bytes.data() + loaded.bytes.size());
      });
      adopted += !kinds.empty();
    } catch (const Error&) {
      ++refused;
    } catch (const std::exception& error) {
      check::failed(__FILE__, __LINE__, text("seed ", seed, " threw ", error.what()));
    }
  }
  CHECK(adopted > 100);
  CHECK(refused > 1000);
}
