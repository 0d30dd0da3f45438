// Functions of one real number: evaluated in double precision when a graph is compiled, and turned into the 256-byte
// tables through which they act on quantized values.
#pragma once

#include <array>
#include <cstdint>
#include <functional>

#include "base/quant.h"
#include "graph/graph.h"

namespace quaver {

// Clip, Sigmoid, Tanh, Exp, Abs, Sin, Gelu and their like: one real number to another.
bool is_unary(Op op) noexcept;

// The function a unary node computes, its attributes or their defaults bound. Throws Error(internal) where `op` is not
// unary.
std::function<double(double)> unary_function(Op op, const Attrs& attrs);

// unary_function(op, attrs)(x)
double eval_unary(Op op, const Attrs& attrs, double x);

// table[q] = rne(clamp(fn(scale_in · (q − zero_in)) / scale_out)) + zero_out, in [0, 255]; NaN becomes the zero point.
// Both u8 and per tensor. Throws Error(invalid_model) where one is per axis.
using UnaryTable = std::array<std::uint8_t, 256>;
UnaryTable unary_table(const std::function<double(double)>& fn, const Quant& in, const Quant& out);

}  // namespace quaver
