#include "graph/graph.h"

#include <algorithm>

namespace quaver {

std::optional<Op> op_from_name(std::string_view name) noexcept {
  for (int i = 0; i < kOpCount; ++i) {
    if (name == kOpNames[i]) return static_cast<Op>(i);
  }
  return std::nullopt;
}

ValueId Graph::add_value(std::string name, DType dtype) {
  Value& value = values.emplace_back();
  value.name = std::move(name);
  value.dtype = dtype;
  return static_cast<ValueId>(values.size() - 1);
}

ValueId Graph::add_value(std::string name, DType dtype, Dims shape) {
  const ValueId id = add_value(std::move(name), dtype);
  values[id].ranked = true;
  values[id].shape = std::move(shape);
  return id;
}

ValueId Graph::add_constant(std::string name, DType dtype, Dims shape, Blob data) {
  const ValueId id = add_value(std::move(name), dtype, std::move(shape));
  values[id].data = std::move(data);
  return id;
}

NodeId Graph::add_node(Op op, std::string name, std::vector<ValueId> in, std::vector<ValueId> out, Attrs attrs) {
  return insert_node(static_cast<NodeId>(nodes.size()), op, std::move(name), std::move(in), std::move(out),
                     std::move(attrs));
}

NodeId Graph::insert_node(NodeId before, Op op, std::string name, std::vector<ValueId> in, std::vector<ValueId> out,
                          Attrs attrs) {
  Node node;
  node.op = op;
  node.name = std::move(name);
  node.inputs = std::move(in);
  node.outputs = std::move(out);
  node.attrs = std::move(attrs);
  nodes.insert(nodes.begin() + before, std::move(node));
  return before;
}

void Graph::replace_uses(ValueId from, ValueId to) {
  for (Node& node : nodes) {
    if (!node.dead) std::replace(node.inputs.begin(), node.inputs.end(), from, to);
  }
  std::replace(outputs.begin(), outputs.end(), from, to);
}

bool Graph::is_input(ValueId id) const { return std::find(inputs.begin(), inputs.end(), id) != inputs.end(); }

bool Graph::is_output(ValueId id) const { return std::find(outputs.begin(), outputs.end(), id) != outputs.end(); }

}  // namespace quaver
