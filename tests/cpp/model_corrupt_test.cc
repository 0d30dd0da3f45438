// One test per kind of damage, each with what the user reads.
#include <cmath>

#include "base/error.h"
#include "cpp/check.h"
#include "cpp/model_sample.h"

namespace {

using namespace sample;

// read() must throw `status` with `words`, and name the file.
void check_refused(const File& file, Status status, const std::string& words, bool check_contents = true) {
  try {
    read(file, check_contents);
    check::failed(__FILE__, __LINE__, "was read: " + words);
  } catch (const Error& error) {
    const std::string what = error.what();
    if (what.find(words) == std::string::npos) check::failed(__FILE__, __LINE__, "expected '" + words + "': " + what);
    if (what.find("model.quaver: ") != 0) check::failed(__FILE__, __LINE__, "does not name the file: " + what);
    CHECK_EQ(static_cast<int>(error.status()), static_cast<int>(status));
  }
}

void check_corrupt(const File& file, const std::string& words) { check_refused(file, Status::corrupt_file, words); }

template <class Change>
File with_header(Change change) {
  File file = write_model(graph());
  Header header = header_of(file);
  change(header);
  set_header(file, header);
  return file;
}

// The file with one field of its root changed and the hash made right again.
template <class T>
File with_root(const T& from, const T& to) {
  File file = write_model(graph());
  CHECK(replace(file, from, to));
  rehash(file);
  return file;
}

File with_text(const std::string& from, const std::string& to) {
  File file = write_model(graph());
  CHECK_EQ(from.size(), to.size());
  CHECK(replace(file, from.data(), to.data(), from.size()));
  rehash(file);
  return file;
}

// Rows of the root as the schema lays them out.
struct SegmentRow {
  std::uint32_t kind, layout;
  std::uint64_t offset, size, hash;
};
struct TensorRow {
  std::uint64_t offset, size, hash;
  std::uint32_t segment, padding = 0;
};

// 108 bytes of weights, 16 of bias, 16 of scales, each at a multiple of 64.
constexpr std::uint64_t kSegmentSize = 2 * 64 + 64 + 16;

SegmentRow segment() {
  const File file = write_model(graph());
  return {0, 0, kPage, kSegmentSize, xxh3(std::span(file).subspan(kPage, kSegmentSize))};
}

TensorRow bias() {
  const File file = write_model(graph());
  return {128, 16, xxh3(std::span(file).subspan(kPage + 128, 16)), 0};
}

template <class Row, class Change>
File with_row(Row row, Change change) {
  Row changed = row;
  change(changed);
  return with_root(row, changed);
}

// The root as words, for damage that keeps it valid FlatBuffers.
std::vector<std::uint32_t> root_words(const File& file) {
  const std::size_t root = header_of(file).root_offset;
  std::vector<std::uint32_t> words((file.size() - root) / 4);
  std::memcpy(words.data(), file.data() + root, words.size() * 4);
  return words;
}

File with_words(File file, const std::vector<std::uint32_t>& words) {
  std::memcpy(file.data() + header_of(file).root_offset, words.data(), words.size() * 4);
  rehash(file);
  return file;
}

}  // namespace

TEST(corrupt_not_a_model) {
  check_corrupt({}, "the file is empty");
  check_corrupt(File(100, std::byte{8}), "not a compiled Quaver model");
  check_corrupt(File(3, std::byte{8}), "not a compiled Quaver model");
}

TEST(corrupt_truncated_anywhere) {
  const File file = write_model(graph());
  for (std::size_t size = 8; size < file.size(); size += size < 100 ? 1 : 97) {
    check_corrupt(File(file.begin(), file.begin() + size), "truncated");
  }
  check_corrupt(File(file.begin(), file.begin() + kPage),
                text("truncated: its header says ", file.size(), " bytes, it has 4096"));
  File longer = file;
  longer.resize(file.size() + 1);
  check_corrupt(longer, "damaged: its header says");
}

TEST(corrupt_header) {
  check_refused(with_header([](Header& h) { h.format = 3; }), Status::unsupported, "the file is of format 3");
  check_refused(with_header([](Header& h) { h.format = 3; }), Status::unsupported, "needs a newer Quaver");
  check_refused(with_header([](Header& h) { h.format = 1; }), Status::unsupported, "compile it anew");
  check_corrupt(with_header([](Header& h) { h.format = 0; }), "format 0");
  check_corrupt(with_header([](Header& h) { h.magic[7] = 9; }), "not a compiled Quaver model");
  check_corrupt(with_header([](Header& h) { h.root_offset += 64; }), "its header puts the root at");
  check_corrupt(with_header([](Header& h) { h.root_offset = ~0ull - 63; }), "its header puts the root at");
  check_corrupt(with_header([](Header& h) { h.root_offset = 0; }), "its header puts the root at");
  check_corrupt(with_header([](Header& h) { h.root_offset -= 1, h.root_size += 1; }), "its header puts the root at");
  check_corrupt(with_header([](Header& h) { h.root_size = ~0ull; }), "its header puts the root at");
  check_corrupt(with_header([](Header& h) { h.root_hash ^= 1; }), "does not match the hash");
}

TEST(corrupt_every_bit_of_the_root_is_seen) {
  const File file = write_model(graph());
  for (std::size_t at = header_of(file).root_offset; at < file.size(); ++at) {
    File damaged = file;
    damaged[at] ^= std::byte{16};
    check_corrupt(damaged, "does not match the hash");
  }
}

TEST(corrupt_root_is_no_flatbuffer) {
  File file = write_model(graph());
  std::fill(file.begin() + header_of(file).root_offset, file.end(), std::byte{0xFF});
  rehash(file);
  check_corrupt(file, "not valid FlatBuffers");
}

TEST(corrupt_segments) {
  check_corrupt(with_row(segment(), [](SegmentRow& s) { s.offset = 8192; }), "truncated: segment 0 at byte 8192");
  check_corrupt(with_row(segment(), [](SegmentRow& s) { s.offset = ~0ull - 4095; }), "truncated: segment 0");
  check_corrupt(with_row(segment(), [](SegmentRow& s) { s.size = ~0ull - 4095; }), "truncated: segment 0");
  check_corrupt(with_row(segment(), [](SegmentRow& s) { s.offset += 64; }), "within a page");
  check_corrupt(with_row(segment(), [](SegmentRow& s) { s.offset = 0; }), "segment 0 overlaps");
  check_corrupt(with_row(segment(), [](SegmentRow& s) { s.size += 64; }), "segment 0 overlaps");
  check_corrupt(with_row(segment(), [](SegmentRow& s) { s.hash ^= 1; }), "segment 0 does not match its hash");
}

TEST(corrupt_tensors) {
  check_corrupt(with_row(bias(), [](TensorRow& t) { t.segment = 1; }), "tensor 1 lies in a segment that is not there");
  check_corrupt(with_row(bias(), [](TensorRow& t) { t.offset += 8; }), "tensor 1 is not aligned");
  check_corrupt(with_row(bias(), [](TensorRow& t) { t.offset = 64; }), "tensor 1 overlaps");
  check_corrupt(with_row(bias(), [](TensorRow& t) { t.size = 72; }), "tensor 2 overlaps");
  check_corrupt(with_row(bias(), [](TensorRow& t) { t.size = 81; }), "tensor 1 ends after its segment");
  check_corrupt(with_row(bias(), [](TensorRow& t) { t.offset = ~0ull - 63; }), "tensor 1 ends after its segment");
  check_corrupt(with_row(bias(), [](TensorRow& t) { t.size = 12; }), "'conv.bias': 12 bytes for int32[4]");
  check_corrupt(with_row(segment(), [](SegmentRow& s) { s.kind = 1; }), "tensor 0 lies in a segment of another kind");
}

TEST(corrupt_contents_are_named) {
  File file = write_model(graph());
  file[kPage + 128] ^= std::byte{1};
  check_corrupt(file, "the contents of 'conv.bias' do not match their hash");
  CHECK_EQ(read(file, false).nodes.size(), 5u);  // not asked to look
  file = write_model(graph());
  file[kPage + 127] ^= std::byte{1};  // between two tensors
  check_corrupt(file, "segment 0 does not match its hash");
}

TEST(corrupt_graph) {
  const File unknown = with_text("LeakyRelu", "LeakyRelo");
  check_refused(unknown, Status::unsupported, "needs a newer Quaver than");
  check_refused(unknown, Status::unsupported, "(written by quaver ");
  check_refused(unknown, Status::unsupported, "): operator 'LeakyRelo' of node 'act'");
  check_corrupt(with_text("kernel_shape", "kernel_shapo"), "unknown attribute 'kernel_shapo'");
  check_corrupt(with_text("group", "zroup"), "the attributes of 'features/0' are out of order");
  check_corrupt(with_root(0.03f, std::nanf("")), "tensor 'y': scale[0] is NaN");
  check_corrupt(with_root(0.03f, -1.0f), "scale[0] is -1");
  struct Dims4 {
    std::int64_t d[4];
  };
  check_corrupt(with_root(Dims4{{4, 3, 3, 3}}, Dims4{{4, 3, 3, 4}}), "'conv.weight': 108 bytes for int8[4, 3, 3, 4]");
  check_corrupt(with_root(Dims4{{4, 3, 3, 3}}, Dims4{{4, -1, 3, 3}}), "'conv.weight': a constant of unknown shape");
  check_corrupt(with_root(Dims4{{-1, 8, 8, 3}}, Dims4{{-2, 8, 8, 3}}), "'x': a dimension is -2");
  check_corrupt(with_root(Dims4{{4, 3, 3, 3}}, Dims4{{1ll << 40, 1ll << 40, 3, 3}}), "too large");
  struct Ids {
    std::uint32_t n, id[3];
  };
  check_corrupt(with_root(Ids{3, {0, 1, 2}}, Ids{3, {0, 1, 10}}), "'features/0' refers to value 10 of 10");
  check_corrupt(with_root(Ids{3, {0, 1, 2}}, Ids{3, {0, 1, 9}}), "used before it is made");
  check_corrupt(with_root(Ids{3, {4, kNone, 5}}, Ids{3, {kNone, kNone, 5}}), "input 0 is missing");
}

// An offset moved by four bytes, from a list's length to its first item, whose low half is as good a length.
TEST(corrupt_root_is_misaligned) {
  const File file = write_model(graph());
  std::vector<std::uint32_t> words = root_words(file);
  const std::uint32_t shape[] = {4, 4, 0, 3, 0, 3, 0, 3, 0};  // of conv.weight
  const auto list = std::search(words.begin(), words.end(), std::begin(shape), std::end(shape)) - words.begin();
  int moved = 0;
  for (std::ptrdiff_t i = 0; i < list; ++i) {
    if (words[i] != (list - i) * 4u) continue;
    words[i] += 4;
    ++moved;
  }
  CHECK_EQ(moved, 1);
  check_corrupt(with_words(file, words), "a list in its root is misaligned");
}

// Offsets of a FlatBuffers vector that all point at its first table: a small file that asks for much memory.
TEST(corrupt_root_repeats_itself) {
  constexpr std::uint32_t kNodes = 51;
  Graph g;
  g.inputs = {g.add_value("x", DType::f32, {1})};
  for (std::uint32_t i = 0; i < kNodes; ++i) {
    g.outputs = {g.add_value("", DType::f32, {1})};
    g.add_node(Op::Identity, "", {i}, {i + 1});
  }
  g.nodes[0].note = std::string(10000, '.');
  const File file = write_model(g);
  std::vector<std::uint32_t> words = root_words(file);
  // The vector of nodes: their number, and then offsets. A value may have that number too.
  const auto count = std::adjacent_find(words.begin(), words.end(),
                                        [](std::uint32_t n, std::uint32_t next) { return n == kNodes && next > n; });
  CHECK(words.end() - count > kNodes);
  for (std::uint32_t i = 1; i < kNodes; ++i) count[1 + i] = count[1] - 4 * i;  // offsets are from their own place
  check_corrupt(with_words(file, words), "refers to the same bytes more than once");
}
