// TreeEnsemble: x [N, F], then what kernels/tree/tree.h walks, constants all: roots [T], feature [n], threshold [n],
// mode [n], children [n, 2], leaf_begin [leaves + 1], target [k], weight [k] → [N, targets]
#include "graph/ops/common.h"

namespace quaver {
namespace {

constexpr AttrSpec kTree[] = {{"targets", AttrKind::i}, {"sum", AttrKind::s}};

void infer_tree(InferContext& c) {
  expect_dtype(c, 0, {DType::f32, DType::f64});
  for (std::size_t i : {1, 2, 5, 6, 7}) expect_dtype(c, i, {DType::i32});
  for (std::size_t i : {3, 8}) {
    if (c.input(i).dtype != c.input(0).dtype) c.fail("'", c.input(i).name, "' is of another dtype than the features");
  }
  expect_dtype(c, 4, {DType::u8});
  const std::string sum = c.attrs().s("sum", "SUM");
  if (sum != "SUM" && sum != "MIN" && sum != "MAX") c.fail("sum is '", sum, "'; it may be SUM, MIN or MAX");
  const std::int64_t targets = c.attrs().i("targets", 1);
  if (targets < 1 || targets > kLargestDimension) c.fail("it has ", targets, " targets");
  c.expect_rank(0, 2);
  c.output(0, c.input(0).dtype, {c.ranked(0) ? c.input(0).shape[0] : kDynamic, targets});
}

}  // namespace

const OpSchema schema_TreeEnsemble{9, 9, 1, 1, kTree, infer_tree};

}  // namespace quaver
