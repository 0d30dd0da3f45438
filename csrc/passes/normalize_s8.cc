// Activations are u8: a signed one becomes the same byte with its sign bit flipped, and its zero point moves by 128.
// FlipSign stands where bytes come from or go to something that takes them as plain numbers: the model's interface
// first.
#include <algorithm>
#include <unordered_map>

#include "passes/clamp.h"
#include "passes/passes.h"
#include "passes/quantization.h"
#include "passes/rewrite.h"

namespace quaver {
namespace {

bool is_signed_activation(const Value& value) {
  return value.dtype == DType::s8 && value.quant && value.quant->per_tensor();
}

// Whether the node knows its operands' scales, so that bytes may stand for reals in another way.
bool reads_quant(const Graph& graph, const Node& node) {
  switch (node.op) {
    case Op::Cast:
    case Op::Shape:
    case Op::FlipSign:
    case Op::MatMulInteger:
    case Op::ConvInteger: return false;
    default: break;
  }
  if (!moves_elements(node)) return true;
  const auto quantized = [&](ValueId id) { return graph.value(id).quant.has_value(); };
  return quantized(node.inputs[0]) && std::all_of(node.outputs.begin(), node.outputs.end(), quantized);
}

// Which inputs of a node are activations or go with them.
bool is_activation(const Node& node, std::size_t i) { return !(is_weighted(node.op) && i == 1); }

Quant moved_by_128(Quant quant) {
  for (std::int32_t& zero : quant.zero_point) zero += 128;
  return quant;
}

void set_zero_point(Editor& edit, NodeId id, std::int32_t zero) {
  const auto byte = static_cast<std::uint8_t>(zero);
  const Dims shape = edit.value(edit.node(id).inputs[1]).shape;
  edit.node(id).attrs.erase("to");
  edit.set_input(id, 2, edit.graph.add_constant("zero_point", DType::u8, shape, Blob::copy(&byte, 1)));
}

// The sign of a Table's input or output is turned by turning the table.
void turn_table(Editor& edit, NodeId id, bool input) {
  const Value table = edit.value(edit.node(id).inputs[1]);
  std::vector<std::uint8_t> bytes(table.data->as<std::uint8_t>().begin(), table.data->as<std::uint8_t>().end());
  for (std::size_t i = 0; input && i < 128; ++i) std::swap(bytes[i], bytes[i + 128]);
  for (std::size_t i = 0; !input && i < 256; ++i) bytes[i] ^= 0x80;
  edit.set_input(id, 1, edit.graph.add_constant(table.name, DType::u8, table.shape, Blob::of<std::uint8_t>(bytes)));
}

// Moves the uses that take plain numbers from `from` to `raw`; both by the same bits, up to the sign.
void move_raw_uses(Editor& edit, ValueId from, ValueId raw) {
  const std::vector<NodeId> users = edit.users(from);
  for (const NodeId user : users) {
    if (reads_quant(edit.graph, edit.node(user))) continue;
    for (std::size_t i = 0; i < edit.node(user).inputs.size(); ++i) {
      if (edit.node(user).inputs[i] == from) edit.set_input(user, i, raw);
    }
  }
}

void adapt_users(Editor& edit, ValueId id) {
  const std::int32_t zero = edit.value(id).quant->zero_point[0];
  const std::vector<NodeId> users = edit.users(id);
  for (const NodeId user : users) {
    if (edit.node(user).op == Op::DequantizeLinear) set_zero_point(edit, user, zero);
    if (edit.node(user).op == Op::Table) turn_table(edit, user, true);
  }
}

// A value made outside: an input of the model, or by a node that makes plain numbers. A new one stands for it.
void flip_after(Editor& edit, ValueId id) {
  const ValueId flipped = edit.add_like(id, "/u8");
  edit.value(flipped).dtype = DType::u8;
  edit.value(flipped).quant = moved_by_128(*edit.value(id).quant);
  edit.replace_uses(id, flipped);
  move_raw_uses(edit, flipped, id);
  edit.add(Op::FlipSign, edit.value(id).name, {id}, {flipped});
  adapt_users(edit, flipped);
}

// A value of our own changes in place; who needs plain numbers gets them through FlipSign.
void flip_in_place(Editor& edit, ValueId id) {
  const NodeId maker = edit.producer(id);
  const ValueId u8 = edit.add_like(id, "/u8");
  edit.value(u8).dtype = DType::u8;
  edit.value(u8).quant = moved_by_128(*edit.value(id).quant);
  std::vector<ValueId>& made = edit.node(maker).outputs;
  edit.set_output(maker, static_cast<std::size_t>(std::find(made.begin(), made.end(), id) - made.begin()), u8);
  edit.replace_uses(id, u8);
  move_raw_uses(edit, u8, id);
  if (!edit.unused(id)) edit.add(Op::FlipSign, edit.value(id).name, {u8}, {id});
  if (edit.node(maker).op == Op::QuantizeLinear) set_zero_point(edit, maker, edit.value(u8).quant->zero_point[0]);
  if (edit.node(maker).op == Op::Table) turn_table(edit, maker, false);
  adapt_users(edit, u8);
}

void flip_constants(Editor& edit, NodeId id, std::unordered_map<ValueId, ValueId>& done) {
  const Op op = edit.node(id).op;
  if (op == Op::DequantizeLinear || op == Op::QuantizeLinear || !reads_quant(edit.graph, edit.node(id))) return;
  for (std::size_t i = 0; i < edit.node(id).inputs.size(); ++i) {
    const ValueId in = edit.node(id).inputs[i];
    if (in == kNone || !edit.value(in).constant() || !is_signed_activation(edit.value(in))) continue;
    if (!is_activation(edit.node(id), i)) continue;
    if (!done.contains(in)) {
      const ValueId u8 = edit.add_like(in, "/u8");
      edit.value(u8).dtype = DType::u8;
      edit.value(u8).quant = moved_by_128(*edit.value(in).quant);
      edit.value(u8).data = flipped(*edit.value(in).data);
      done[in] = u8;
    }
    edit.set_input(id, i, done[in]);
  }
}

// Plain numbers, no reals behind them, where only u8 is computed with: turned before, and what is picked of them back.
ValueId turned(Editor& edit, ValueId id) {
  const ValueId u8 = edit.add_like(id, "/u8");
  edit.value(u8).dtype = DType::u8;
  edit.value(u8).quant.reset();
  if (edit.value(id).constant()) {
    edit.value(u8).data = flipped(*edit.value(id).data);
  } else {
    edit.add(Op::FlipSign, edit.value(id).name, {id}, {u8});
  }
  return u8;
}

bool turn_numbers(Editor& edit, NodeId id) {
  const Op op = edit.node(id).op;
  const bool product = op == Op::MatMulInteger || op == Op::ConvInteger;
  const Value& x = edit.value(edit.node(id).inputs[0]);
  if ((!product && op != Op::MaxPool && op != Op::Resize) || x.dtype != DType::s8 || (x.quant && !product))
    return false;
  edit.set_input(id, 0, turned(edit, edit.node(id).inputs[0]));
  if (!product) {
    const ValueId y = edit.node(id).outputs[0], u8 = edit.add_like(y, "/u8");
    edit.value(u8).dtype = DType::u8;
    edit.set_output(id, 0, u8);
    edit.add(Op::FlipSign, edit.value(y).name, {u8}, {y});
  } else if (has_input(edit.node(id), 2)) {
    edit.set_input(id, 2, turned(edit, edit.node(id).inputs[2]));
  } else {
    const std::uint8_t middle = 128;
    std::vector<ValueId> inputs = edit.node(id).inputs;
    inputs.resize(std::max<std::size_t>(inputs.size(), 3), kNone);
    inputs[2] = edit.graph.add_constant("zero_point", DType::u8, {}, Blob::copy(&middle, 1));
    edit.set_inputs(id, std::move(inputs));
  }
  return true;
}

}  // namespace

bool normalize_s8(Graph& graph, const Evaluator&) {
  Editor edit(graph);
  std::unordered_map<ValueId, ValueId> constants;
  const auto nodes = static_cast<NodeId>(graph.nodes.size());
  const auto values = static_cast<ValueId>(graph.values.size());
  for (NodeId id = 0; id < nodes; ++id) {
    if (!graph.nodes[id].dead) flip_constants(edit, id, constants);
  }
  bool changed = !constants.empty();
  for (ValueId id = 0; id < values; ++id) {
    if (!is_signed_activation(graph.value(id)) || graph.value(id).constant() || edit.unused(id)) continue;
    const NodeId maker = edit.producer(id);
    if (maker == kNone || !reads_quant(graph, graph.nodes[maker])) {
      if (edit.users(id).empty()) continue;
      flip_after(edit, id);
    } else {
      flip_in_place(edit, id);
    }
    changed = true;
  }
  for (NodeId id = 0; id < nodes; ++id) {
    if (!graph.nodes[id].dead) changed |= turn_numbers(edit, id);
  }
  graph.sort();
  return changed;
}

}  // namespace quaver
