#include <sstream>

#include "graph/graph.h"

namespace quaver {
namespace {

std::string type(const Value& value) {
  std::string out(name_of(value.dtype));
  out += value.ranked ? to_string(value.shape) : "[…]";
  if (value.quant) out += value.quant->per_tensor() ? " quantized" : " quantized per channel";
  return out;
}

template <class Item, class Show>
void list(std::ostream& out, const std::vector<Item>& items, Show show) {
  bool first = true;
  for (const Item& item : items) {
    if (!first) out << ", ";
    first = false;
    show(item);
  }
}

void write(std::ostream& out, const Graph& graph, const Node& node) {
  list(out, node.outputs, [&](ValueId id) { out << "%" << id; });
  out << " = " << name_of(node.op) << "(";
  list(out, node.inputs, [&](ValueId id) {
    if (id == kNone) {
      out << "-";
    } else {
      out << (graph.value(id).constant() ? "#" : "%") << id;
    }
  });
  out << ")";
  if (!node.attrs.items().empty()) {
    out << " {";
    list(out, node.attrs.items(), [&](const auto& item) { out << item.first << "=" << to_string(item.second); });
    out << "}";
  }
  out << " : ";
  list(out, node.outputs, [&](ValueId id) { out << type(graph.value(id)); });
  if (!node.name.empty()) out << "  // " << node.name;
  out << "\n";
}

}  // namespace

std::string dump(const Graph& graph) {
  std::ostringstream out;
  for (const ValueId id : graph.inputs) {
    out << "%" << id << " = input '" << graph.value(id).name << "' : " << type(graph.value(id)) << "\n";
  }
  for (const Node& node : graph.nodes) {
    if (!node.dead) write(out, graph, node);
  }
  for (const ValueId id : graph.outputs) out << "output %" << id << " '" << graph.value(id).name << "'\n";
  return out.str();
}

}  // namespace quaver
