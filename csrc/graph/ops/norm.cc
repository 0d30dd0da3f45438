// BatchNormalization in inference, channels last: x, scale, bias, mean, variance.
#include "graph/ops/common.h"

namespace quaver {
namespace {

constexpr AttrSpec kBatchNorm[] = {{"epsilon", AttrKind::f}};

void infer_batch_norm(InferContext& c) {
  for (std::size_t i = 1; i < 5; ++i) {
    c.expect_rank(i, 1);
    if (!c.ranked(0) || !c.ranked(i)) continue;
    const Dims& x = c.input(0).shape;
    if (x.empty()) c.fail("a scalar has no channels");
    if (contradicts(c.input(i).shape[0], x.back())) {
      c.fail("'", c.input(i).name, "' has ", c.input(i).shape[0], " elements for ", x.back(), " channels");
    }
  }
  output_same_shape(c, c.real_dtype());
}

}  // namespace

const OpSchema schema_BatchNormalization{5, 5, 1, 1, kBatchNorm, infer_batch_norm};

}  // namespace quaver
