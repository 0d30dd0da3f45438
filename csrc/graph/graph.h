// The portable form of a model: values connected by nodes, in an order in which they can run.
//
// A value is a constant (has data), a graph input, or the output of exactly one node. Ids are stable: passes add values
// and nodes, mark nodes dead and leave ids alone; compact() drops what is dead or unused at the end.
// A u8 (or, before normalization, s8) value that stands for reals carries its Quant.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/blob.h"
#include "base/dims.h"
#include "base/dtype.h"
#include "base/quant.h"
#include "graph/attrs.h"

namespace quaver {

enum class Op : std::uint16_t {
#define QUAVER_OP(name) name,
#include "graph/ops.def"
#undef QUAVER_OP
};
inline constexpr const char* kOpNames[] = {
#define QUAVER_OP(name) #name,
#include "graph/ops.def"
#undef QUAVER_OP
};
inline constexpr int kOpCount = sizeof(kOpNames) / sizeof(kOpNames[0]);

constexpr const char* name_of(Op op) { return kOpNames[static_cast<int>(op)]; }
std::optional<Op> op_from_name(std::string_view name) noexcept;

using ValueId = std::uint32_t;
using NodeId = std::uint32_t;
inline constexpr std::uint32_t kNone = UINT32_MAX;  // an optional input left out; no producer

struct Value {
  std::string name;
  DType dtype = DType::f32;
  bool ranked = false;  // shape is meaningful (its dimensions may still be dynamic)
  Dims shape;
  std::optional<Quant> quant;
  std::optional<Blob> data;   // a constant's contents, contiguous, in native byte order
  std::optional<Dims> known;  // of integers computed from shapes: those that follow, kDynamic for others (contents.h)

  bool constant() const noexcept { return data.has_value(); }
  bool static_shape() const noexcept { return ranked && is_static(shape); }
};

struct Node {
  Op op = Op::Identity;
  std::string name;             // the source model's node, for messages
  std::vector<ValueId> inputs;  // kNone for an optional one left out
  std::vector<ValueId> outputs;
  Attrs attrs;
  std::string note;  // why it is not int8, which nodes were fused into it: for `quaver inspect`
  bool dead = false;
};

class Graph {
 public:
  std::vector<Value> values;
  std::vector<Node> nodes;  // run order, dead ones included
  std::vector<ValueId> inputs, outputs;
  std::string name;

  Value& value(ValueId id) { return values[id]; }
  const Value& value(ValueId id) const { return values[id]; }

  ValueId add_value(std::string name, DType dtype);  // of unknown shape
  ValueId add_value(std::string name, DType dtype, Dims shape);
  ValueId add_constant(std::string name, DType dtype, Dims shape, Blob data);
  // Appends, or inserts before node `before`, invalidating Node references and NodeIds from there on.
  NodeId add_node(Op op, std::string name, std::vector<ValueId> in, std::vector<ValueId> out, Attrs attrs = {});
  NodeId insert_node(NodeId before, Op op, std::string name, std::vector<ValueId> in, std::vector<ValueId> out,
                     Attrs attrs = {});

  // Every use of `from`, by a node or as a graph output, becomes a use of `to`.
  void replace_uses(ValueId from, ValueId to);
  bool is_input(ValueId id) const;
  bool is_output(ValueId id) const;

  // Drops dead nodes and nodes whose outputs nobody uses; then values nobody refers to, renumbering. Inputs stay.
  void compact();
  // Restores run order after a pass appended nodes anywhere; throws Error(invalid_model) naming a cycle's node.
  void sort();
};

// Who makes and who uses each value, taken at one moment.
struct Uses {
  explicit Uses(const Graph& graph);
  std::vector<NodeId> producer;                // kNone for inputs and constants
  std::vector<std::vector<NodeId>> consumers;  // one entry per use
  // Uses by nodes plus one where the value is a graph output.
  std::vector<std::uint32_t> count;
};

// One node a line: %id = Op(inputs) {attrs} : dtype[shape].
std::string dump(const Graph& graph);

}  // namespace quaver
