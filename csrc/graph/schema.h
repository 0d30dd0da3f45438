// What the graph knows of an operator: its arity, its attributes, and how shapes and dtypes flow through it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "graph/graph.h"

namespace quaver {

enum class AttrKind : std::uint8_t { i, f, s, ints, floats };

struct AttrSpec {
  const char* name;
  AttrKind kind;
};

// One node under inference. Throws Error(invalid_model) that says what is wrong; infer_node names operator and node.
class InferContext {
 public:
  InferContext(Graph& graph, const Node& node) : graph_(graph), node_(node) {}

  const Node& node() const { return node_; }
  const Attrs& attrs() const { return node_.attrs; }
  std::size_t inputs() const { return node_.inputs.size(); }
  bool has_input(std::size_t i) const { return i < node_.inputs.size() && node_.inputs[i] != kNone; }
  const Value& input(std::size_t i) const;  // fails where absent
  bool ranked(std::size_t i) const { return has_input(i) && input(i).ranked; }
  // The input's integers (i64 or i32, flattened) where it is a known constant.
  std::optional<std::vector<std::int64_t>> constant_ints(std::size_t i) const;
  // The same as far as they follow from shapes where they are no constant; kDynamic where not.
  std::optional<Dims> known_ints(std::size_t i) const;
  std::optional<std::vector<float>> constant_floats(std::size_t i) const;
  // Fails unless input i is of rank `rank` (or unranked: then inference of this node should return early).
  void expect_rank(std::size_t i, std::size_t rank) const;
  // What output i stands for when the operator computes on reals: the dtype a pass declared where the output carries
  // quantization parameters, f32 where only the input does, the input's dtype where nothing is quantized.
  DType real_dtype(std::size_t i = 0) const;
  // Declares output i. A dynamic dimension gives way to a declared one; a contradiction of two known ones fails.
  void output(std::size_t i, DType dtype, Dims shape);
  void output_unranked(std::size_t i, DType dtype);
  template <class... Parts>
  [[noreturn]] void fail(Parts&&... parts) const {
    fail_with(text(std::forward<Parts>(parts)...));
  }

 private:
  [[noreturn]] void fail_with(const std::string& what) const;

  Graph& graph_;
  const Node& node_;
};

struct OpSchema {
  std::size_t min_inputs, max_inputs, min_outputs, max_outputs;
  std::span<const AttrSpec> attrs;
  // Called with all ranked inputs it may find; must cope with dynamic dimensions and unranked inputs.
  void (*infer)(InferContext&);
  // A view of its first input's bytes with another shape: the plan gives it no memory and no step.
  bool alias = false;
  // Moves or selects elements without computing: quantized inputs and outputs share their parameters.
  bool moves = false;
};

const OpSchema& schema_of(Op op);

#define QUAVER_OP(name) extern const OpSchema schema_##name;
#include "graph/ops.def"
#undef QUAVER_OP

// A shape's dimensions stay within this, so that sums and products of a few sizes cannot overflow.
inline constexpr std::int64_t kLargestDimension = std::int64_t{1} << 40;

// Shapes and dtypes of every value, in run order. Throws Error(invalid_model).
void infer_shapes(Graph& graph);
void infer_node(Graph& graph, const Node& node);
// Structure: ids in range, arity, attribute names and kinds, one producer per value, run order, constants' sizes,
// quant parameters finite and positive. Throws Error(invalid_model).
void verify(const Graph& graph);

}  // namespace quaver
