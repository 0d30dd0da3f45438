// Graph::compact and Graph::sort: what is kept, and in which order.
#include <algorithm>
#include <functional>
#include <queue>

#include "base/error.h"
#include "graph/graph.h"

namespace quaver {
namespace {

// Marks as dead the nodes whose outputs nobody uses.
void bury_unused(Graph& graph) {
  const Uses uses(graph);
  std::vector<std::uint32_t> count = uses.count;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    if (node->dead) continue;
    node->dead = std::none_of(node->outputs.begin(), node->outputs.end(), [&](ValueId out) { return count[out] > 0; });
    if (!node->dead) continue;
    for (const ValueId in : node->inputs) {
      if (in != kNone) --count[in];
    }
  }
}

void each_reference(Graph& graph, const std::function<void(ValueId&)>& visit) {
  for (ValueId& id : graph.inputs) visit(id);
  for (Node& node : graph.nodes) {
    for (ValueId& id : node.inputs) {
      if (id != kNone) visit(id);
    }
    for (ValueId& id : node.outputs) visit(id);
  }
  for (ValueId& id : graph.outputs) visit(id);
}

void renumber_values(Graph& graph) {
  std::vector<ValueId> renamed(graph.values.size(), kNone);
  each_reference(graph, [&](ValueId& id) { renamed[id] = 0; });
  ValueId next = 0;
  for (ValueId id = 0; id < renamed.size(); ++id) {
    if (renamed[id] == kNone) continue;
    if (next != id) graph.values[next] = std::move(graph.values[id]);
    renamed[id] = next++;
  }
  graph.values.resize(next);
  each_reference(graph, [&](ValueId& id) { id = renamed[id]; });
}

}  // namespace

void Graph::compact() {
  bury_unused(*this);
  std::erase_if(nodes, [](const Node& node) { return node.dead; });
  renumber_values(*this);
}

void Graph::sort() {
  const Uses uses(*this);
  std::vector<std::size_t> waiting(nodes.size(), 0);  // inputs not made yet
  // Among the nodes that can run, the first by the old order: a sorted graph stays as it is.
  std::priority_queue<NodeId, std::vector<NodeId>, std::greater<>> ready;
  for (NodeId id = 0; id < nodes.size(); ++id) {
    if (!nodes[id].dead) {
      for (const ValueId in : nodes[id].inputs) waiting[id] += in != kNone && uses.producer[in] != kNone;
    }
    if (waiting[id] == 0) ready.push(id);
  }
  std::vector<NodeId> order;
  order.reserve(nodes.size());
  while (!ready.empty()) {
    const NodeId id = ready.top();
    ready.pop();
    order.push_back(id);
    if (nodes[id].dead) continue;
    for (const ValueId out : nodes[id].outputs) {
      for (const NodeId user : uses.consumers[out]) {
        if (--waiting[user] == 0) ready.push(user);
      }
    }
  }
  if (order.size() < nodes.size()) {
    const auto stuck = std::find_if(waiting.begin(), waiting.end(), [](std::size_t n) { return n > 0; });
    const Node& node = nodes[stuck - waiting.begin()];
    fail(Status::invalid_model, name_of(node.op), " '", node.name, "': its inputs depend on its own outputs (a cycle)");
  }
  std::vector<Node> sorted;
  sorted.reserve(nodes.size());
  for (const NodeId id : order) sorted.push_back(std::move(nodes[id]));
  nodes = std::move(sorted);
}

}  // namespace quaver
