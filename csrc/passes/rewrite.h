// What all rewrites share: a graph whose producers and users stay known while it changes, and the loop that applies
// rules.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace quaver {

// Nodes are marked dead, never removed, and new ones appended: NodeIds hold until sort(), Node references until add().
class Editor {
 public:
  explicit Editor(Graph& graph) : graph(graph), uses_(graph) {}

  Graph& graph;

  Node& node(NodeId id) { return graph.nodes[id]; }
  Value& value(ValueId id) { return graph.values[id]; }
  NodeId producer(ValueId id) const { return id < uses_.producer.size() ? uses_.producer[id] : kNone; }
  // The node that makes `id` where it is an `op`, else null.
  Node* made_by(ValueId id, Op op);
  // One entry per use by a node.
  const std::vector<NodeId>& users(ValueId id);
  bool unused(ValueId id) { return users(id).empty() && !graph.is_output(id); }
  // Used once, by a node.
  bool single_use(ValueId id) { return users(id).size() == 1 && !graph.is_output(id); }

  // A value of the same type, shape and quantization as `like`, without its contents.
  ValueId add_like(ValueId like, const std::string& suffix);
  NodeId add(Op op, std::string name, std::vector<ValueId> in, std::vector<ValueId> out, Attrs attrs = {});
  void set_inputs(NodeId id, std::vector<ValueId> inputs);
  void set_input(NodeId id, std::size_t i, ValueId value);
  void set_output(NodeId id, std::size_t i, ValueId value);
  // Uses by nodes only: a graph's output keeps its value, and so its name.
  void replace_uses(ValueId from, ValueId to);
  void kill(NodeId id);
  // Kills the node that makes `id`, and those before it, as far as nobody uses what they make.
  void prune(ValueId id);
  // Lets users of the node's output use `source`, one of its inputs (or an equal value), instead, and kills the node.
  // False where the model's interface needs both, or types or quantization differ.
  bool bypass(NodeId id, ValueId source);

 private:
  void grow();

  Uses uses_;
};

struct Rule {
  const char* name;
  bool (*apply)(Editor&, NodeId);  // true where it changed something
};

// Applies the rules to every node, in run order, until none fires. Throws Error(internal) where they never stop.
bool apply_rules(Graph& graph, std::span<const Rule> rules);

// Integers of a constant i64 or i32.
std::optional<std::vector<std::int64_t>> constant_ints(const Graph& graph, ValueId id);
// The number a constant float of one element holds.
std::optional<float> constant_scalar(const Graph& graph, ValueId id);
ValueId add_ints(Graph& graph, std::string name, const std::vector<std::int64_t>& items);
ValueId add_floats(Graph& graph, std::string name, const std::vector<float>& items);
// A shape that Reshape takes as a constant (at most one dimension unknown, none zero), where `value` has such a shape.
std::optional<std::vector<std::int64_t>> constant_shape(const Value& value);
bool has_input(const Node& node, std::size_t i);
// Adds a sentence to a node's note.
void remark(Node& node, const std::string& what);
// "Conv 'features/3'"
std::string label(const Node& node);

}  // namespace quaver
