#include <limits>

#include "cpp/check.h"
#include "cpp/passes_build.h"

using namespace quaver;
using namespace quaver::testing;

TEST(flush_weights_makes_subnormal_ones_zero) {
  constexpr float kLeast = std::numeric_limits<float>::min();
  Build b;
  const ValueId x = b.input("x", DType::f32, {3, 4});
  const ValueId w = b.constant<float>("w", {4, 2}, {1, kLeast / 2, -kLeast / 4, 0, kLeast, -kLeast, 3e38F, -2});
  b.output(b.node(Op::MatMul, {x, w}));
  b.output(b.node(Op::Neg, {w}));  // is no product, and keeps what there was
  apply(b.graph, flush_weights);
  const auto weights = [&](std::size_t node, std::size_t input) {
    const auto items = b.graph.value(b.graph.nodes[node].inputs[input]).data->as<float>();
    return std::vector<float>(items.begin(), items.end());
  };
  CHECK_EQ(weights(0, 1), (std::vector<float>{1, 0, 0, 0, kLeast, -kLeast, 3e38F, -2}));
  CHECK_EQ(weights(1, 0)[1], kLeast / 2);
  CHECK(!flush_weights(b.graph, {}));
}
