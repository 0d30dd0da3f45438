#include "passes/rewrite.h"

#include <algorithm>

#include "base/error.h"

namespace quaver {

void Editor::grow() {
  uses_.producer.resize(graph.values.size(), kNone);
  uses_.consumers.resize(graph.values.size());
}

Node* Editor::made_by(ValueId id, Op op) {
  const NodeId maker = producer(id);
  return maker != kNone && node(maker).op == op ? &node(maker) : nullptr;
}

const std::vector<NodeId>& Editor::users(ValueId id) {
  grow();
  return uses_.consumers[id];
}

ValueId Editor::add_like(ValueId like, const std::string& suffix) {
  Value copy = value(like);
  copy.name += suffix;
  copy.data.reset();
  copy.known.reset();
  graph.values.push_back(std::move(copy));
  return static_cast<ValueId>(graph.values.size() - 1);
}

NodeId Editor::add(Op op, std::string name, std::vector<ValueId> in, std::vector<ValueId> out, Attrs attrs) {
  grow();
  const NodeId id = graph.add_node(op, std::move(name), {}, std::vector<ValueId>(out.size(), kNone), std::move(attrs));
  set_inputs(id, std::move(in));
  for (std::size_t i = 0; i < out.size(); ++i) set_output(id, i, out[i]);
  return id;
}

void Editor::set_inputs(NodeId id, std::vector<ValueId> inputs) {
  while (!inputs.empty() && inputs.back() == kNone) inputs.pop_back();
  for (std::size_t i = 0; i < node(id).inputs.size(); ++i) set_input(id, i, kNone);
  node(id).inputs.assign(inputs.size(), kNone);
  for (std::size_t i = 0; i < inputs.size(); ++i) set_input(id, i, inputs[i]);
}

void Editor::set_input(NodeId id, std::size_t i, ValueId to) {
  grow();
  std::vector<ValueId>& inputs = node(id).inputs;
  if (inputs.size() <= i) inputs.resize(i + 1, kNone);
  if (inputs[i] != kNone) {
    std::vector<NodeId>& users = uses_.consumers[inputs[i]];
    users.erase(std::find(users.begin(), users.end(), id));
  }
  inputs[i] = to;
  if (to != kNone) uses_.consumers[to].push_back(id);
}

void Editor::set_output(NodeId id, std::size_t i, ValueId to) {
  grow();
  ValueId& out = node(id).outputs[i];
  if (out != kNone && uses_.producer[out] == id) uses_.producer[out] = kNone;
  out = to;
  uses_.producer[to] = id;
}

void Editor::replace_uses(ValueId from, ValueId to) {
  const std::vector<NodeId> users = this->users(from);
  for (const NodeId user : users) {
    for (std::size_t i = 0; i < node(user).inputs.size(); ++i) {
      if (node(user).inputs[i] == from) set_input(user, i, to);
    }
  }
}

void Editor::kill(NodeId id) {
  for (std::size_t i = 0; i < node(id).inputs.size(); ++i) set_input(id, i, kNone);
  for (const ValueId out : node(id).outputs) {
    if (uses_.producer[out] == id) uses_.producer[out] = kNone;
  }
  node(id).dead = true;
}

void Editor::prune(ValueId id) {
  const NodeId maker = producer(id);
  if (maker == kNone) return;
  const std::vector<ValueId> outputs = node(maker).outputs, inputs = node(maker).inputs;
  if (std::any_of(outputs.begin(), outputs.end(), [&](ValueId out) { return !unused(out); })) return;
  kill(maker);
  for (const ValueId in : inputs) {
    if (in != kNone) prune(in);
  }
}

bool Editor::bypass(NodeId id, ValueId source) {
  const ValueId out = node(id).outputs[0];
  if (value(out).dtype != value(source).dtype || value(out).quant != value(source).quant) return false;
  const NodeId maker = producer(source);
  if (!graph.is_output(out)) {
    replace_uses(out, source);
    kill(id);
    return true;
  }
  if (maker == kNone || graph.is_output(source)) return false;
  kill(id);  // the maker of `source` makes the graph's output instead
  std::vector<ValueId>& made = node(maker).outputs;
  set_output(maker, static_cast<std::size_t>(std::find(made.begin(), made.end(), source) - made.begin()), out);
  replace_uses(source, out);
  return true;
}

bool apply_rules(Graph& graph, std::span<const Rule> rules) {
  constexpr int kRounds = 100;
  for (int round = 0; round < kRounds; ++round) {
    Editor edit(graph);
    bool fired = false;
    const auto size = static_cast<NodeId>(graph.nodes.size());  // what rules append is seen in the next round
    for (NodeId id = 0; id < size; ++id) {
      for (const Rule& rule : rules) {
        if (!graph.nodes[id].dead && rule.apply(edit, id)) fired = true;
      }
    }
    if (!fired) return round > 0;
    std::erase_if(graph.nodes, [](const Node& node) { return node.dead; });
    graph.sort();
  }
  fail(Status::internal, "the rewrites around '", rules[0].name, "' do not come to an end");
}

std::optional<std::vector<std::int64_t>> constant_ints(const Graph& graph, ValueId id) {
  if (id == kNone || !graph.value(id).constant()) return std::nullopt;
  const Value& value = graph.value(id);
  const auto copy = [](auto items) { return std::vector<std::int64_t>(items.begin(), items.end()); };
  if (value.dtype == DType::i64) return copy(value.data->as<std::int64_t>());
  if (value.dtype == DType::i32) return copy(value.data->as<std::int32_t>());
  return std::nullopt;
}

std::optional<float> constant_scalar(const Graph& graph, ValueId id) {
  if (id == kNone || !graph.value(id).constant()) return std::nullopt;
  const Value& value = graph.value(id);
  if (value.dtype != DType::f32 || value.data->size() != sizeof(float)) return std::nullopt;
  return value.data->as<float>()[0];
}

ValueId add_ints(Graph& graph, std::string name, const std::vector<std::int64_t>& items) {
  return graph.add_constant(std::move(name), DType::i64, {static_cast<std::int64_t>(items.size())},
                            Blob::of<std::int64_t>(items));
}

ValueId add_floats(Graph& graph, std::string name, const std::vector<float>& items) {
  return graph.add_constant(std::move(name), DType::f32, {static_cast<std::int64_t>(items.size())},
                            Blob::of<float>(items));
}

std::optional<std::vector<std::int64_t>> constant_shape(const Value& value) {
  if (!value.ranked || std::count(value.shape.begin(), value.shape.end(), kDynamic) > 1) return std::nullopt;
  if (std::find(value.shape.begin(), value.shape.end(), 0) != value.shape.end()) return std::nullopt;
  return value.shape;
}

bool has_input(const Node& node, std::size_t i) { return i < node.inputs.size() && node.inputs[i] != kNone; }

void remark(Node& node, const std::string& what) { node.note += (node.note.empty() ? "" : "; ") + what; }

std::string label(const Node& node) { return text(name_of(node.op), " '", node.name, "'"); }

}  // namespace quaver
