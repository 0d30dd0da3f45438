#include "kernels/tree/lists.h"
#include "kernels/tree/walk.h"

namespace quaver::kernels {
namespace {

template <class T>
void run(const TreeArgs<T>& g) {
  for (std::size_t i = 0; i < g.rows; ++i) {
    for (std::size_t t = 0; t < g.trees; ++t) {
      std::int32_t n = g.roots[t];
      while (n >= 0) {
        const std::uint8_t mode = g.mode ? g.mode[n] : std::uint8_t{kLeq};
        n = g.children[2 * n + (goes(mode, g.x[i * g.features + g.feature[n]], g.threshold[n]) ? 0 : 1)];
      }
      add_leaf(g, n, g.c + i * g.targets);
    }
  }
}

}  // namespace

const TreeKernel<float> kTreeScalarF32 = {"tree_f32_scalar", Isa::scalar, run<float>};
const TreeKernel<double> kTreeScalarF64 = {"tree_f64_scalar", Isa::scalar, run<double>};

}  // namespace quaver::kernels
