// A step down a tree and what a leaf adds. Internal linkage, for kernel files.
#pragma once

#include "kernels/tree/tree.h"

namespace quaver::kernels {
namespace {

template <class T>
[[maybe_unused]] inline bool goes(std::uint8_t mode, T x, T threshold) {
  if (x != x && (mode & kNanGoes)) return true;
  switch (mode & 7) {
    case kLeq: return x <= threshold;
    case kLt: return x < threshold;
    case kGeq: return x >= threshold;
    case kGt: return x > threshold;
    case kEq: return x == threshold;
    default: return x != threshold;
  }
}

template <class T>
[[maybe_unused]] inline void add_leaf(const TreeArgs<T>& g, std::int32_t n, T* c) {
  for (std::int32_t e = g.leaf_begin[~n]; e < g.leaf_begin[~n + 1]; ++e) {
    T& to = c[g.target[e]];
    const T w = g.weight[e];
    to = g.sum == TreeSum::add ? to + w : g.sum == TreeSum::min ? (w < to ? w : to) : (w > to ? w : to);
  }
}

}  // namespace
}  // namespace quaver::kernels
