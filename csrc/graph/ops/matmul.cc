// MatMul (bias and residual fused by passes) and MatMulInteger: NumPy's matmul.
#include "graph/ops/common.h"

namespace quaver {
namespace {

constexpr AttrSpec kFused[] = {
    {"lo", AttrKind::f}, {"hi", AttrKind::f}, {"pre_lo", AttrKind::f}, {"pre_hi", AttrKind::f}};

Dims product_shape(const InferContext& c, Dims a, Dims b) {
  if (a.empty() || b.empty()) c.fail("a scalar has no matrix product");
  const bool row = a.size() == 1, column = b.size() == 1;  // vectors: the dimension added goes away again
  if (row) a.insert(a.begin(), 1);
  if (column) b.push_back(1);
  if (contradicts(a.back(), b[b.size() - 2])) {
    c.fail("the shapes ", to_string(c.input(0).shape), " and ", to_string(c.input(1).shape), " do not multiply");
  }
  Dims out = broadcast(Dims(a.begin(), a.end() - 2), Dims(b.begin(), b.end() - 2));
  if (!row) out.push_back(a[a.size() - 2]);
  if (!column) out.push_back(b.back());
  return out;
}

void output_product(InferContext& c, DType dtype) {
  if (c.ranked(0) && c.ranked(1)) {
    c.output(0, dtype, product_shape(c, c.input(0).shape, c.input(1).shape));
  } else {
    c.output_unranked(0, dtype);
  }
}

void infer_matmul(InferContext& c) {
  if (c.has_input(2)) c.expect_rank(2, 1);
  if (c.ranked(1) && c.ranked(2) && c.input(1).shape.size() > 1 &&
      contradicts(c.input(2).shape[0], c.input(1).shape.back())) {
    c.fail("a bias of shape ", to_string(c.input(2).shape), " for ", c.input(1).shape.back(), " columns");
  }
  output_product(c, c.real_dtype());
}

void infer_matmul_integer(InferContext& c) {
  expect_dtype(c, 0, {DType::u8, DType::s8});
  expect_dtype(c, 1, {DType::u8, DType::s8});
  output_product(c, DType::i32);
}

// a, b, their scales, their zero points, and a bias added to the reals.
void infer_matmul_integer_to_float(InferContext& c) {
  expect_dtype(c, 0, {DType::u8, DType::s8});
  expect_dtype(c, 1, {DType::u8, DType::s8});
  expect_dtype(c, 2, {DType::f32});
  expect_dtype(c, 3, {DType::f32});
  for (const std::size_t i : {std::size_t{3}, std::size_t{5}, std::size_t{6}}) {
    if (!c.ranked(i) || !c.ranked(1) || c.input(1).shape.empty() || !is_static(c.input(i).shape)) continue;
    const std::int64_t size = count(c.input(i).shape);
    if (size != 1 && contradicts(size, c.input(1).shape.back())) {
      c.fail("'", c.input(i).name, "' has ", size, " elements for ", c.input(1).shape.back(), " columns");
    }
  }
  output_product(c, DType::f32);
}

}  // namespace

const OpSchema schema_MatMul{2, 4, 1, 1, kFused, infer_matmul};
const OpSchema schema_MatMulInteger{2, 4, 1, 1, {}, infer_matmul_integer};
const OpSchema schema_MatMulIntegerToFloat{4, 7, 1, 1, {}, infer_matmul_integer_to_float};

}  // namespace quaver
