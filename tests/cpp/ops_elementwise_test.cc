// The elementwise operators against their formulas: broadcasting, dtypes, quantized values, errors.
#include <algorithm>
#include <cmath>
#include <limits>

#include "cpp/one_node.h"
#include "graph/unary.h"

namespace {

using namespace one_node;

constexpr unsigned kSeed = 20240613;
using Reals = std::vector<float>;
using Bytes = std::vector<std::uint8_t>;

Reals reals(std::mt19937& random, std::int64_t n) {
  std::normal_distribution<float> normal(0, 3);
  Reals out(static_cast<std::size_t>(n));
  for (float& x : out) x = normal(random);
  return out;
}

Bytes bytes(std::mt19937& random, std::int64_t n) {
  Bytes out(static_cast<std::size_t>(n));
  for (auto& x : out) x = static_cast<std::uint8_t>(random());
  return out;
}

// Where element i of `out` comes from in a tensor of shape `dims` broadcast to it.
std::size_t source(const Dims& dims, const Dims& out, std::size_t i) {
  const Dims strides = strides_of(dims);
  std::size_t at = 0;
  for (std::size_t axis = out.size(); axis-- > 0;) {
    const auto index = static_cast<std::int64_t>(i) % out[axis];
    i /= static_cast<std::size_t>(out[axis]);
    const std::size_t lead = out.size() - dims.size();
    if (axis >= lead && dims[axis - lead] != 1) at += static_cast<std::size_t>(index * strides[axis - lead]);
  }
  return at;
}

// Pairs of shapes that take every way through the decomposition, either order.
std::vector<std::pair<Dims, Dims>> shape_pairs() {
  std::vector<std::pair<Dims, Dims>> pairs = {
      {{}, {}},
      {{1}, {}},
      {{7}, {7}},
      {{5000}, {5000}},
      {{5000}, {1}},
      {{2, 5, 6, 24}, {24}},
      {{2, 33, 40, 3}, {3}},
      {{1, 7, 7, 700}, {700}},
      {{2, 9, 8, 16}, {2, 1, 1, 16}},
      {{1, 20, 20, 24}, {1, 1, 1, 24}},
      {{2, 3, 4, 5}, {2, 3, 4, 1}},
      {{2, 3, 4, 5}, {3, 1, 5}},
      {{4, 1}, {1, 6}},
      {{3, 1, 5, 1}, {1, 4, 1, 6}},
      {{0, 4}, {4}},
      {{2, 1024, 3}, {1024, 1}},
  };
  const std::size_t n = pairs.size();
  for (std::size_t i = 0; i < n; ++i) pairs.emplace_back(pairs[i].second, pairs[i].first);
  return pairs;
}

float arithmetic(Op op, float a, float b) {
  return op == Op::Add ? a + b : op == Op::Sub ? a - b : op == Op::Mul ? a * b : a / b;
}

TEST(binary_f32_broadcasts) {
  std::mt19937 random(kSeed);
  for (const auto& [a_dims, b_dims] : shape_pairs()) {
    const Dims dims = broadcast(a_dims, b_dims);
    const Reals a = reals(random, count(a_dims)), b = reals(random, count(b_dims));
    for (Op op : {Op::Add, Op::Sub, Op::Mul, Op::Div}) {
      Bench bench;
      Attrs attrs;
      attrs.set("lo", -4.0);
      attrs.set("hi", 5.0);
      const auto c = bench.run<float>(op, {bench.input(DType::f32, a_dims, a), bench.input(DType::f32, b_dims, b)},
                                      {bench.output(DType::f32, dims)}, attrs);
      bool good = true;
      for (std::size_t i = 0; i < c.size(); ++i) {
        const float y = arithmetic(op, a[source(a_dims, dims, i)], b[source(b_dims, dims, i)]);
        good = good && c[i] == std::clamp(y, -4.0F, 5.0F);
      }
      if (!good) check::failed(__FILE__, __LINE__, text(name_of(op), to_string(a_dims), to_string(b_dims), " ", kSeed));
    }
  }
}

TEST(binary_u8_broadcasts) {
  std::mt19937 random(kSeed);
  for (const auto& [a_dims, b_dims] : shape_pairs()) {
    const Dims dims = broadcast(a_dims, b_dims);
    const Bytes a = bytes(random, count(a_dims)), b = bytes(random, count(b_dims));
    for (Op op : {Op::Add, Op::Sub, Op::Mul, Op::Div}) {
      Bench bench;
      const auto c = bench.run<std::uint8_t>(op,
                                             {bench.input(DType::u8, a_dims, a, quant(0.02F, 120)),
                                              bench.constant(DType::u8, b_dims, b, quant(0.013F, 3))},
                                             {bench.output(DType::u8, dims, quant(0.031F, 77))});
      bool good = true;
      for (std::size_t i = 0; i < c.size(); ++i) {
        const float x = 0.02F * float(a[source(a_dims, dims, i)] - 120);
        const float y = 0.013F * float(b[source(b_dims, dims, i)] - 3);
        if (op == Op::Div && y == 0) continue;
        const double want = std::clamp(arithmetic(op, x, y) / 0.031 + 77, 0.0, 255.0);
        good = good && std::abs(c[i] - want) < 0.501;
      }
      if (!good) check::failed(__FILE__, __LINE__, text(name_of(op), to_string(a_dims), to_string(b_dims), " ", kSeed));
    }
  }
}

TEST(binary_u8_clamps_in_steps) {
  Bench bench;
  Attrs attrs;
  attrs.set("lo", 0.0);
  attrs.set("hi", 6.0);
  const Bytes a = {0, 100, 255}, b = {0, 100, 255};
  const auto c = bench.run<std::uint8_t>(
      Op::Add, {bench.input(DType::u8, {3}, a, quant(0.1F, 100)), bench.input(DType::u8, {3}, b, quant(0.1F, 100))},
      {bench.output(DType::u8, {3}, quant(0.05F, 20))}, attrs);
  CHECK_EQ(c, (Bytes{20, 20, 140}));
}

template <class T>
std::vector<T> integers(Op op, std::vector<T> a, std::vector<T> b) {
  Bench bench;
  const DType dtype = DTypeOf<T>::value;
  const auto n = static_cast<std::int64_t>(a.size());
  return bench.run<T>(op, {bench.input(dtype, {n}, a), bench.input(dtype, {n}, b)}, {bench.output(dtype, {n})});
}

TEST(binary_integers) {
  using I = std::vector<std::int64_t>;
  constexpr std::int32_t kMin = std::numeric_limits<std::int32_t>::min();
  CHECK_EQ(integers(Op::Add, I{5, -7}, I{3, 4}), (I{8, -3}));
  CHECK_EQ(integers(Op::Mul, I{5, -7}, I{3, 4}), (I{15, -28}));
  CHECK_EQ(integers(Op::Div, I{7, -7, 7, 0}, I{2, 2, -2, 0}), (I{3, -3, -3, 0}));
  CHECK_EQ(integers<std::int32_t>(Op::Div, {kMin, kMin}, {-1, 0}), (std::vector<std::int32_t>{kMin, 0}));
  CHECK_EQ(integers<std::int32_t>(Op::Sub, {kMin}, {1}), (std::vector<std::int32_t>{-(kMin + 1)}));
}

TEST(binary_rejects_mixed_dtypes) {
  Bench bench;
  const ValueId a = bench.input(DType::f32, {1}, Reals{1}), b = bench.input(DType::u8, {1}, Bytes{1});
  CHECK_THROWS(bench.run<float>(Op::Add, {a, b}, {bench.output(DType::f32, {1})}), Error, "Add 'node' cannot run");
}

TEST(prelu_in_f32_and_u8) {
  std::mt19937 random(kSeed);
  const Dims dims = {2, 9, 8, 5};
  const Reals x = reals(random, count(dims)), slope = reals(random, 5);
  Bench bench;
  const auto y = bench.run<float>(Op::PRelu, {bench.input(DType::f32, dims, x), bench.constant(DType::f32, {5}, slope)},
                                  {bench.output(DType::f32, dims)});
  for (std::size_t i = 0; i < y.size(); ++i) CHECK_EQ(y[i], x[i] < 0 ? x[i] * slope[i % 5] : x[i]);

  const Bytes q = bytes(random, count(dims)), q_slope = bytes(random, 5);
  const Quant per_channel{{0.01F, 0.02F, 0.03F, 0.04F, 0.05F}, {0, 10, 20, 30, 40}, 0};
  const auto out = bench.run<std::uint8_t>(
      Op::PRelu,
      {bench.input(DType::u8, dims, q, quant(0.1F, 90)), bench.constant(DType::u8, {5}, q_slope, per_channel)},
      {bench.output(DType::u8, dims, quant(0.2F, 100))});
  for (std::size_t i = 0; i < out.size(); ++i) {
    const double real = 0.1 * (q[i] - 90);
    const double k = (q_slope[i % 5] - per_channel.zero_point[i % 5]) * double{per_channel.scale[i % 5]};
    CHECK(std::abs(out[i] - std::clamp((real < 0 ? real * k : real) / 0.2 + 100, 0.0, 255.0)) < 0.501);
  }
}

constexpr Op kUnary[] = {Op::Sigmoid, Op::HardSigmoid, Op::HardSwish, Op::LeakyRelu, Op::Tanh, Op::Exp,
                         Op::Sqrt,    Op::Abs,         Op::Neg,       Op::Erf,       Op::Clip};

TEST(unary_f32_operators) {
  std::mt19937 random(kSeed);
  const Reals x = reals(random, 9000);
  for (Op op : kUnary) {
    Bench bench;
    Attrs attrs;
    if (op == Op::Clip) attrs.set("hi", 1.5);
    const auto y =
        bench.run<float>(op, {bench.input(DType::f32, {90, 100}, x)}, {bench.output(DType::f32, {90, 100})}, attrs);
    bool good = true;
    for (std::size_t i = 0; i < y.size(); ++i) {
      const double want = eval_unary(op, attrs, x[i]);
      good = good &&
             ((std::isnan(want) && std::isnan(y[i])) || std::abs(y[i] - want) <= 3e-7 * std::max(1.0, std::abs(want)));
    }
    if (!good) check::failed(__FILE__, __LINE__, text(name_of(op), ", seed ", kSeed));
  }
}

TEST(unary_u8_operators_are_tables) {
  Bytes x(256);
  for (int q = 0; q < 256; ++q) x[q] = static_cast<std::uint8_t>(q);
  for (Op op : kUnary) {
    Bench bench;
    Attrs attrs;
    if (op == Op::Clip) attrs.set("lo", -1.0);
    const auto y = bench.run<std::uint8_t>(op, {bench.input(DType::u8, {256}, x, quant(0.05F, 100))},
                                           {bench.output(DType::u8, {256}, quant(0.02F, 50))}, attrs);
    for (int q = 0; q < 256; ++q) {
      double real = eval_unary(op, attrs, double{0.05F} * (q - 100)) / double{0.02F};
      if (std::isnan(real)) real = 0;
      CHECK(std::abs(y[q] - std::clamp(real + 50, 0.0, 255.0)) <= 0.5);
    }
  }
}

TEST(unary_integers) {
  using I = std::vector<std::int64_t>;
  const I x = {-5, 0, 7};
  const auto run = [&](Op op, Attrs attrs = {}) {
    Bench bench;
    return bench.run<std::int64_t>(op, {bench.input(DType::i64, {3}, x)}, {bench.output(DType::i64, {3})}, attrs);
  };
  Attrs bounds;
  bounds.set("lo", -2.0);
  bounds.set("hi", 3.0);
  CHECK_EQ(run(Op::Abs), (I{5, 0, 7}));
  CHECK_EQ(run(Op::Neg), (I{5, 0, -7}));
  CHECK_EQ(run(Op::Clip, bounds), (I{-2, 0, 3}));
  CHECK_EQ(run(Op::Clip), x);
  CHECK_THROWS(run(Op::Exp), Error, "is int64; a float type");
}

TEST(table_and_flip_sign) {
  std::mt19937 random(kSeed);
  const Bytes table = bytes(random, 256), x = bytes(random, 40000);
  Bench bench;
  const ValueId in = bench.input(DType::u8, {40000}, x);
  const auto y = bench.run<std::uint8_t>(Op::Table, {in, bench.constant(DType::u8, {256}, table)},
                                         {bench.output(DType::u8, {40000})});
  const auto flipped = bench.run<std::int8_t>(Op::FlipSign, {in}, {bench.output(DType::s8, {40000})});
  for (std::size_t i = 0; i < x.size(); ++i) {
    CHECK_EQ(y[i], table[x[i]]);
    CHECK_EQ(int{flipped[i]}, x[i] - 128);
  }
  CHECK_THROWS(bench.run<std::uint8_t>(Op::Table, {in, in}, {bench.output(DType::u8, {40000})}), Error, "run time");
}

TEST(batch_normalization) {
  std::mt19937 random(kSeed);
  const Reals x = reals(random, 4 * 5 * 600), scale = reals(random, 5), bias = reals(random, 5),
              mean = reals(random, 5);
  const Reals variance = {0.1F, 1, 2, 3, 4};
  Bench bench;
  Attrs attrs;
  attrs.set("epsilon", 0.01);
  std::vector<ValueId> in = {bench.input(DType::f32, {1, 600, 4, 5}, x)};
  for (const Reals& parameter : {scale, bias, mean, variance}) in.push_back(bench.constant(DType::f32, {5}, parameter));
  const auto y = bench.run<float>(Op::BatchNormalization, in, {bench.output(DType::f32, {1, 600, 4, 5})}, attrs);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const std::size_t c = i % 5;
    const double want = (double{x[i]} - mean[c]) / std::sqrt(variance[c] + 0.01) * scale[c] + bias[c];
    CHECK(std::abs(y[i] - want) < 1e-4);
  }
}

}  // namespace
