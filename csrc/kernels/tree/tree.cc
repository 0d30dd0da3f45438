// A walk down a tree waits for memory at each step. Several rows walk together, so that their waits overlap; this needs
// no instruction set, and no branch on the comparison where all nodes compare by <=.
#include "kernels/tree/tree.h"

#include "kernels/pick.h"
#include "kernels/tree/lists.h"
#include "kernels/tree/walk.h"

namespace quaver::kernels {
namespace {

constexpr std::size_t kTogether = 8;

template <class T, bool kAllLeq>
void walk(const TreeArgs<T>& g, std::size_t row, std::size_t t) {
  std::int32_t n[kTogether];
  for (std::size_t r = 0; r < kTogether; ++r) n[r] = g.roots[t];
  for (bool inside = g.roots[t] >= 0; inside;) {
    inside = false;
    for (std::size_t r = 0; r < kTogether; ++r) {
      if (n[r] < 0) continue;
      const T x = g.x[(row + r) * g.features + g.feature[n[r]]];
      const bool yes = kAllLeq ? x <= g.threshold[n[r]] : goes(g.mode[n[r]], x, g.threshold[n[r]]);
      n[r] = g.children[2 * n[r] + !yes];
      inside |= n[r] >= 0;
    }
  }
  for (std::size_t r = 0; r < kTogether; ++r) add_leaf(g, n[r], g.c + (row + r) * g.targets);
}

template <class T, bool kAllLeq>
void run(const TreeArgs<T>& g) {
  std::size_t row = 0;
  for (; row + kTogether <= g.rows; row += kTogether) {
    for (std::size_t t = 0; t < g.trees; ++t) walk<T, kAllLeq>(g, row, t);
  }
  TreeArgs<T> rest = g;
  rest.rows -= row;
  rest.x += row * g.features;
  rest.c += row * g.targets;
  if constexpr (sizeof(T) == 4) {
    kTreeScalarF32.run(rest);
  } else {
    kTreeScalarF64.run(rest);
  }
}

template <class T>
void run_any(const TreeArgs<T>& g) {
  g.mode ? run<T, false>(g) : run<T, true>(g);
}

constexpr TreeKernel<float> kTogetherF32 = {"tree_f32_8rows", Isa::scalar, run_any<float>};
constexpr TreeKernel<double> kTogetherF64 = {"tree_f64_8rows", Isa::scalar, run_any<double>};
constexpr const TreeKernel<float>* kF32[] = {&kTreeScalarF32, &kTogetherF32};
constexpr const TreeKernel<double>* kF64[] = {&kTreeScalarF64, &kTogetherF64};

}  // namespace

template <>
TreeList<float> tree_kernels() {
  return list_of<TreeList<float>>(kF32);
}
template <>
TreeList<double> tree_kernels() {
  return list_of<TreeList<double>>(kF64);
}
template <>
const TreeKernel<float>& pick_tree(IsaSet set) {
  return pick_best(kF32, set);
}
template <>
const TreeKernel<double>& pick_tree(IsaSet set) {
  return pick_best(kF64, set);
}

}  // namespace quaver::kernels
