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

// bytes: 1 where rows may become bytes.
constexpr AttrSpec kBlocks[] = {{"K", AttrKind::i}, {"block_size", AttrKind::i}, {"bytes", AttrKind::i}};

void expect_count(const InferContext& c, std::size_t i, std::int64_t expected) {
  if (!c.has_input(i) || !c.ranked(i) || !is_static(c.input(i).shape)) return;
  const std::int64_t size = count(c.input(i).shape);
  if (size != expected) c.fail("'", c.input(i).name, "' has ", size, " elements; ", expected, " are expected");
}

// a in floats, b constant weights of four bits [N, ceil(K / block_size), block_size / 2], the even one in the low half
// of a byte; scales and zero points (a byte each) of each block.
void infer_in_blocks(InferContext& c, std::int64_t block) {
  constexpr std::int64_t kMost = std::int64_t{1} << 31;
  const std::int64_t k = c.attrs().i("K", 0);
  if (k < 1 || k > kMost || block < 16 || block > kMost || (block & (block - 1)) != 0) {
    c.fail(k, " rows of weights in blocks of ", block, "; a power of two from 16 on is expected");
  }
  for (const std::size_t i : {std::size_t{1}, std::size_t{5}}) {
    if (c.has_input(i)) expect_dtype(c, i, {DType::u8});
  }
  if (!c.input(1).constant() || !c.ranked(1) || c.input(1).shape.size() != 3 || c.has_input(2) || c.has_input(4)) {
    c.fail("constant weights [N, blocks, bytes] are expected, and no scale of a");
  }
  if (!c.has_input(3)) c.fail("its scales are missing");
  for (const std::size_t i : {std::size_t{0}, std::size_t{3}}) expect_dtype(c, i, {DType::f32});
  if (c.has_input(6)) expect_dtype(c, 6, {DType::f32});
  const std::int64_t n = c.input(1).shape[0], blocks = (k + block - 1) / block;
  if (n < 1 || n > kMost) c.fail(n, " columns");
  expect_count(c, 1, n * blocks * (block / 2));
  expect_count(c, 3, n * blocks);
  expect_count(c, 5, n * blocks);
  expect_count(c, 6, n);
  if (!c.ranked(0)) return c.output_unranked(0, DType::f32);
  Dims shape = c.input(0).shape;
  if (shape.empty() || contradicts(shape.back(), k)) {
    c.fail("a has the shape ", to_string(shape), " where rows have ", k, " elements");
  }
  shape.back() = n;
  c.output(0, DType::f32, shape);
}

// a, b, their scales, their zero points, and a bias added to the reals.
void infer_matmul_integer_to_float(InferContext& c) {
  if (const std::int64_t block = c.attrs().i("block_size", 0); block != 0) return infer_in_blocks(c, block);
  if (!c.has_input(2) || !c.has_input(3)) c.fail("a scale is missing");
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
const OpSchema schema_MatMulIntegerToFloat{2, 7, 1, 1, kBlocks, infer_matmul_integer_to_float};

}  // namespace quaver
