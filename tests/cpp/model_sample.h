// A graph with one of everything that a file has to keep, and ways to damage its file.
#pragma once

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "model/file.h"
#include "model/hash.h"
#include "model/layout.h"

namespace sample {

using namespace quaver;
using File = std::vector<std::byte>;

inline Blob ramp(std::size_t size, int first = 0) {
  std::vector<std::uint8_t> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::uint8_t>(first + 7 * i);
  return Blob::copy(bytes.data(), bytes.size());
}

// u8 image → Conv → LeakyRelu → Resize (an optional input left out) → MaxPool; two constants of equal contents.
inline Graph graph() {
  Graph g;
  g.name = "sample";
  const ValueId x = g.add_value("x", DType::u8, {kDynamic, 8, 8, 3});
  g.value(x).quant = Quant{{0.0078125f}, {128}};
  const ValueId w = g.add_constant("conv.weight", DType::s8, {4, 3, 3, 3}, ramp(108));
  g.value(w).quant = Quant{{0.5f, 0.25f, 0.125f, 0.0625f}, {0, 0, 0, 0}, 0};
  const ValueId bias = g.add_constant("conv.bias", DType::i32, {4}, ramp(16, 1));
  const ValueId y = g.add_value("y", DType::u8, {kDynamic, 8, 8, 4});
  g.value(y).quant = Quant{{0.03f}, {7}};
  const ValueId z = g.add_value("z", DType::u8);  // of unknown shape
  const ValueId scales = g.add_constant("scales", DType::f32, {4}, ramp(16));
  const ValueId twin = g.add_constant("twin", DType::f32, {4}, ramp(16));
  const ValueId up = g.add_value("größer", DType::u8);
  const ValueId up_twin = g.add_value("up_twin", DType::u8);
  const ValueId out = g.add_value("out", DType::u8);
  Attrs conv, leaky, resize, pool;
  conv.set("strides", std::vector<std::int64_t>{1, 1});
  conv.set("group", std::int64_t{1});
  conv.set("lo", -0.0);
  conv.set("hi", std::numeric_limits<double>::infinity());
  leaky.set("alpha", 0.1 + std::numeric_limits<double>::epsilon());
  resize.set("mode", std::string("nearest"));
  resize.set("cubic_coeff_a", -0.75);
  resize.set("antialias", std::int64_t{0});
  pool.set("kernel_shape", std::vector<std::int64_t>{2, 2});
  pool.set("pads", std::vector<std::int64_t>{});
  g.add_node(Op::Conv, "features/0", {x, w, bias}, {y}, conv);
  g.nodes.back().note = "fused: features/1, features/2";
  g.add_node(Op::LeakyRelu, "act", {y}, {z}, leaky);
  g.add_node(Op::Resize, "up", {z, kNone, scales}, {up}, resize);
  g.add_node(Op::Resize, "up2", {up, kNone, twin}, {up_twin}, resize);
  g.add_node(Op::MaxPool, "", {up_twin}, {out}, pool);
  g.inputs = {x};
  g.outputs = {out, y};
  return g;
}

inline Header header_of(const File& file) {
  Header header;
  std::memcpy(&header, file.data(), sizeof header);
  return header;
}

inline void set_header(File& file, const Header& header) { std::memcpy(file.data(), &header, sizeof header); }

// Makes the header agree with the (changed) root again, so that the change meets the checks behind the hash.
inline void rehash(File& file) {
  Header header = header_of(file);
  if (header.root_offset > file.size()) return;
  header.root_hash = xxh3(std::span(file).subspan(header.root_offset));
  set_header(file, header);
}

// Replaces the only occurrence of `from` behind the header; false where there is none or more than one.
inline bool replace(File& file, const void* from, const void* to, std::size_t size) {
  const auto* pattern = static_cast<const std::byte*>(from);
  const auto at = std::search(file.begin() + sizeof(Header), file.end(), pattern, pattern + size);
  if (at == file.end() || std::search(at + 1, file.end(), pattern, pattern + size) != file.end()) return false;
  std::memcpy(&*at, to, size);
  return true;
}

template <class T>
bool replace(File& file, const T& from, const T& to) {
  return replace(file, &from, &to, sizeof(T));
}

inline Blob blob(const File& file) { return Blob::copy(file.data(), file.size()); }

inline Graph read(const File& file, bool check_contents = true) {
  return read_model(blob(file), "model.quaver", check_contents);
}

}  // namespace sample
