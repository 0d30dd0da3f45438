// The shape of a (batched) matrix product after NumPy's rules.
#pragma once

#include <vector>

#include "ops/op.h"

namespace quaver {

struct MatMulShape {
  std::size_t m, n, k;
  std::vector<std::size_t> a, b;  // per batch: elements from the start of each operand
  bool shared_b;                  // one b for all batches, and a's batches follow one another: m can span them
};

// Of a MatMul or MatMulInteger node; 1-D operands are taken as a row and a column.
MatMulShape matmul_shape(const LowerContext& context);

}  // namespace quaver
