#include "ops/matmul_shape.h"

namespace quaver {
namespace {

// Offsets, in matrices, of each output batch into an operand with these batch dimensions.
std::vector<std::size_t> batches(const Dims& dims, const Dims& all) {
  std::vector<std::size_t> out;
  const std::int64_t total = count(all);
  for (std::int64_t index = 0; index < total; ++index) {
    std::int64_t rest = index, offset = 0, stride = 1;
    for (std::size_t back = 1; back <= all.size(); ++back) {
      const std::int64_t at = rest % all[all.size() - back];
      rest /= all[all.size() - back];
      if (back > dims.size()) continue;
      const std::int64_t size = dims[dims.size() - back];
      if (size != 1) offset += at * stride;
      stride *= size;
    }
    out.push_back(static_cast<std::size_t>(offset));
  }
  return out;
}

}  // namespace

MatMulShape matmul_shape(const LowerContext& context) {
  Dims a = context.input(0).shape, b = context.input(1).shape;
  if (a.empty() || b.empty()) context.fail("an operand is a scalar");
  if (a.size() == 1) a.insert(a.begin(), 1);
  if (b.size() == 1) b.push_back(1);
  const Dims a_batch(a.begin(), a.end() - 2), b_batch(b.begin(), b.end() - 2);
  MatMulShape shape;
  shape.m = a[a.size() - 2];
  shape.k = a.back();
  shape.n = b.back();
  if (b[b.size() - 2] != a.back()) {
    context.fail("the inner sizes of ", to_string(context.input(0).shape), " and ", to_string(context.input(1).shape),
                 " differ");
  }
  if (shape.k == 0) context.fail("its sums are over nothing: ", to_string(a), " by ", to_string(b));
  const Dims all = broadcast(a_batch, b_batch);
  shape.shared_b = count(b_batch) == 1 && count(a_batch) == count(all);
  for (const std::size_t matrix : batches(a_batch, all)) shape.a.push_back(matrix * shape.m * shape.k);
  for (const std::size_t matrix : batches(b_batch, all)) shape.b.push_back(matrix * shape.k * shape.n);
  return shape;
}

}  // namespace quaver
