// Reading and writing QuantizeLinear, DequantizeLinear and the quantized values between them.
#pragma once

#include <optional>
#include <string>

#include "passes/rewrite.h"

namespace quaver {

inline bool is_byte(DType dtype) { return dtype == DType::u8 || dtype == DType::s8; }

// The parameters of a Quantize- or DequantizeLinear where they are constants; one scale is always per tensor (axis -1).
std::optional<Quant> quant_of(const Graph& graph, const Node& node);
// A node that selects or moves elements of its first input (Concat: of all), so that it works on stored bytes as well.
bool moves_elements(const Node& node);
// Of a move's inputs, those that carry elements: all of Concat's, else the first.
std::size_t moved_inputs(const Node& node);
// How the output of a move of one quantized input is quantized; nothing where its channels don't stay together.
std::optional<Quant> quant_after(const Graph& graph, const Node& move, const Quant& quant);
// rne(x / scale) + zero point, saturated to the dtype.
std::uint8_t quantize(double x, const Quant& quant, DType dtype);
// The same bytes with the sign bit flipped: u8 for s8 and back.
Blob flipped(const Blob& data);
// A value that reads a constant's bytes as `quant` says, u8 ones brought to s8: what weights are.
ValueId add_weight(Graph& graph, ValueId stored, Quant quant);

// Where an activation comes from, or why it is not quantized.
struct Source {
  ValueId stored = kNone;
  std::string why;
};
Source quantized_source(Editor& edit, ValueId id);

}  // namespace quaver
