#include "ops/op.h"

namespace quaver {

LowerFn lowering_of(Op op) {
  static constexpr LowerFn kLowerings[] = {
#define QUAVER_OP(name) &lower_##name,
#include "graph/ops.def"
#undef QUAVER_OP
  };
  return kLowerings[static_cast<int>(op)];
}

}  // namespace quaver
