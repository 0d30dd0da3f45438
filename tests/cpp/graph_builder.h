// Small graphs for tests: one node, or a chain of them.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "graph/schema.h"

namespace quaver::testing {

using Ints = std::vector<std::int64_t>;
using AttrList = std::vector<std::pair<const char*, AttrValue>>;

inline Attrs attrs(const AttrList& list) {
  Attrs out;
  for (const auto& [name, value] : list) out.set(name, value);
  return out;
}

template <class T>
ValueId constant(Graph& graph, Dims shape, const std::vector<T>& items) {
  return graph.add_constant("constant", DTypeOf<T>::value, std::move(shape),
                            Blob::copy(items.data(), items.size() * sizeof(T)));
}

inline ValueId ints(Graph& graph, const Ints& items) {
  return constant<std::int64_t>(graph, {static_cast<std::int64_t>(items.size())}, items);
}

inline ValueId input(Graph& graph, Dims shape, DType dtype = DType::f32) {
  const ValueId id = graph.add_value("x", dtype, std::move(shape));
  graph.inputs.push_back(id);
  return id;
}

// Appends a node named "n" with `outputs` fresh values; gives the first one's id.
inline ValueId node(Graph& graph, Op op, std::vector<ValueId> inputs, const AttrList& list = {}, int outputs = 1) {
  std::vector<ValueId> out;
  for (int i = 0; i < outputs; ++i) out.push_back(graph.add_value("y", DType::f32));
  graph.add_node(op, "n", std::move(inputs), out, attrs(list));
  return out.front();
}

}  // namespace quaver::testing
