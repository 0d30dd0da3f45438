// One operator at a time: a graph of one node, lowered for each instruction set of this CPU and run in one share and
// unit by unit. All must give the same bytes.
#pragma once

#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "cpp/check.h"
#include "isa/cpu.h"
#include "ops/op.h"
#include "ops/pack_cache.h"

namespace one_node {

using namespace quaver;

class Bench {
 public:
  Graph graph;

  template <class T>
  ValueId input(DType dtype, Dims shape, const std::vector<T>& data, std::optional<Quant> quant = {}) {
    const ValueId id = graph.add_value("x" + std::to_string(graph.values.size()), dtype, std::move(shape));
    graph.value(id).quant = std::move(quant);
    buffers_.resize(id + 1);
    buffers_[id] = AlignedBuffer(data.size() * sizeof(T));
    if (!data.empty()) std::memcpy(buffers_[id].data(), data.data(), data.size() * sizeof(T));
    return id;
  }
  template <class T>
  ValueId constant(DType dtype, Dims shape, const std::vector<T>& data, std::optional<Quant> quant = {}) {
    const ValueId id = input(dtype, std::move(shape), data, std::move(quant));
    graph.value(id).data = Blob::of(std::span<const T>(data));
    return id;
  }
  ValueId output(DType dtype, Dims shape, std::optional<Quant> quant = {}) {
    return input(dtype, shape, std::vector<std::byte>(std::size_t(count(shape)) * size_of(dtype)), std::move(quant));
  }

  // The first output's elements.
  template <class T>
  std::vector<T> run(Op op, std::vector<ValueId> in, std::vector<ValueId> out, Attrs attrs = {}) {
    const Node& node = graph.nodes[graph.add_node(op, "node", std::move(in), out, std::move(attrs))];
    std::vector<std::byte> want;
    for (int i = 0; i < kIsaCount; ++i) {
      if (!detected_isa().has(static_cast<Isa>(i))) continue;
      const IsaSet set = usable_isa(kIsaNames[i]);
      for (const bool whole : {true, false}) {
        std::vector<std::byte> got = run_once(node, set, whole);
        if (want.empty()) want = got;
        if (got != want) check::failed(__FILE__, __LINE__, std::string(name_of(op)) + " differs on " + kIsaNames[i]);
      }
    }
    std::vector<T> result(std::size_t(count(graph.value(out[0]).shape)));
    if (!result.empty()) std::memcpy(result.data(), want.data(), result.size() * sizeof(T));
    return result;
  }

  // Contents of a value after the last run.
  template <class T>
  T first(ValueId id) const {
    return *buffers_[id].as<T>();
  }
  template <class T>
  std::vector<T> all(ValueId id) const {
    const T* data = buffers_[id].as<T>();
    return {data, data + count(graph.value(id).shape)};
  }

 private:
  // The bytes of all outputs, one after another.
  std::vector<std::byte> run_once(const Node& node, IsaSet set, bool whole) {
    PackCache cache;
    LowerContext context(graph, node, set, cache);
    const std::unique_ptr<Step> step = lowering_of(node.op)(context);
    CHECK(!step->info.kernel.empty());
    std::vector<std::byte*> values;
    for (AlignedBuffer& buffer : buffers_) values.push_back(buffer.data());
    AlignedBuffer scratch(step->scratch);
    const RunContext run{values.data(), scratch.data(), 0};
    for (const ValueId id : node.outputs) std::memset(values[id], 0xCD, buffers_[id].size());
    if (whole) {
      step->run(run, 0, step->units);
    } else {
      for (std::size_t unit = step->units; unit-- > 0;) step->run(run, unit, unit + 1);
    }
    std::vector<std::byte> bytes;
    for (const ValueId id : node.outputs) bytes.insert(bytes.end(), values[id], values[id] + buffers_[id].size());
    return bytes;
  }

  std::vector<AlignedBuffer> buffers_;
};

inline Quant quant(float scale, std::int32_t zero) { return {{scale}, {zero}, -1}; }

}  // namespace one_node
