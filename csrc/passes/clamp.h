// The bounds `lo` and `hi` that some operators apply to their results, in real numbers.
#pragma once

#include <algorithm>
#include <limits>
#include <string>

#include "graph/graph.h"

namespace quaver {

inline constexpr double kUnbounded = std::numeric_limits<double>::infinity();

inline bool is_weighted(Op op) { return op == Op::Conv || op == Op::ConvTranspose || op == Op::MatMul; }
inline bool is_arithmetic(Op op) { return op == Op::Add || op == Op::Sub || op == Op::Mul || op == Op::Div; }
inline bool can_clamp(Op op) { return op == Op::Conv || op == Op::MatMul || is_arithmetic(op); }

// Stores `lo` and `hi`, or those with a prefix; what is unbounded is left out.
inline void set_bounds(Attrs& attrs, double lo, double hi, const std::string& prefix = "") {
  attrs.erase(prefix + "lo");
  attrs.erase(prefix + "hi");
  if (lo > -kUnbounded) attrs.set(prefix + "lo", lo);
  if (hi < kUnbounded) attrs.set(prefix + "hi", hi);
}

// The node's own bounds, then those of `clip`.
inline void clamp_after(Node& node, const Attrs& clip) {
  const double lo = clip.f("lo", -kUnbounded), hi = clip.f("hi", kUnbounded);
  const auto inside = [&](double x) { return std::min(std::max(x, lo), hi); };
  set_bounds(node.attrs, inside(node.attrs.f("lo", -kUnbounded)), inside(node.attrs.f("hi", kUnbounded)));
}

}  // namespace quaver
