#include "kernels/nibble/nibble.h"

#include "cpp/kernels_compare.h"

namespace quaver::kernels {
namespace {

using testing::Fenced;

struct Shape {
  std::size_t m, n, k, block;
};

// Around the edges of tiles (2 and 4 rows and columns) and groups (128), with blocks shorter and longer than those.
constexpr Shape kShapes[] = {{1, 1, 1, 16},   {1, 4, 128, 32}, {2, 5, 127, 16},  {3, 3, 129, 64},  {4, 8, 256, 128},
                             {5, 7, 300, 32}, {6, 9, 96, 16},  {7, 2, 512, 256}, {9, 6, 640, 512}, {8, 33, 40, 32}};

std::size_t column_bytes(const Shape& shape) { return (shape.k + shape.block - 1) / shape.block * shape.block / 2; }

struct Case {
  Case(unsigned seed, const Shape& shape)
      : random(seed),
        stored(testing::random_bytes(random, shape.n * column_bytes(shape))),
        packed(std::vector<std::uint8_t>(shape.n * nibble_groups(shape.k) * kNibbleGroupBytes)),
        scale(testing::random_floats(random, shape.n * nibble_blocks(shape.k, shape.block))),
        zero(testing::random_bytes(random, scale.size())),
        bias(testing::random_floats(random, shape.n)),
        a(testing::random_floats(random, shape.m * (shape.k + 3) - 3)),
        scratch(kNibbleRows * nibble_groups(shape.k) * kNibbleGroup) {
    for (std::uint8_t& z : zero) z &= 15;
    pack_nibbles(shape.n, shape.k, shape.block, stored.data(), packed.data());
    args = {shape.m,      shape.n,     shape.k, shape.block,    a.data(), shape.k + 3, packed.data(),
            scale.data(), zero.data(), nullptr, scratch.data(), nullptr,  shape.n};
    if (seed % 2) args.bias = bias.data();
  }

  std::mt19937 random;
  std::vector<std::uint8_t> stored;
  Fenced<std::uint8_t> packed;
  Fenced<float> scale;
  Fenced<std::uint8_t> zero;
  Fenced<float> bias, a;
  std::vector<float> scratch;
  NibbleArgs args;
};

TEST(kernels_nibble_agree) {
  for (const Shape& shape : kShapes) {
    for (unsigned seed = 0; seed < 6; ++seed) {
      Case c(seed, shape);
      testing::compare_kernels<float>(
          nibble_kernels(), pick_nibble(IsaSet{}), shape.m * shape.n,
          "n " + std::to_string(shape.n) + ", k " + std::to_string(shape.k) + ", seed " + std::to_string(seed),
          [](const NibbleKernel&) { return true; },
          [&](const NibbleKernel& kernel, float* out) {
            c.args.c = out;
            kernel.run(c.args);
          });
    }
  }
}

// Against the product of what the stored weights stand for, in double precision.
TEST(kernels_nibble_definition) {
  const Shape shape{2, 3, 50, 16};
  Case c(1, shape);
  std::mt19937 random(9);
  for (float& x : c.a) x = static_cast<float>(random() % 200) / 100 - 1;
  for (float& x : c.scale) x = static_cast<float>(random() % 100 + 1) / 1000;
  for (float& x : c.bias) x = static_cast<float>(random() % 10);
  for (std::uint8_t& x : c.stored) x = static_cast<std::uint8_t>(random());
  pack_nibbles(shape.n, shape.k, shape.block, c.stored.data(), c.packed.data());
  std::vector<float> got(shape.m * shape.n);
  c.args.c = got.data();
  pick_nibble(IsaSet{}).run(c.args);
  for (std::size_t i = 0; i < shape.m; ++i) {
    for (std::size_t j = 0; j < shape.n; ++j) {
      double want = c.bias[j];
      for (std::size_t p = 0; p < shape.k; ++p) {
        const int q = c.stored[j * column_bytes(shape) + p / 2] >> (p % 2 * 4) & 15;
        const std::size_t b = j * nibble_blocks(shape.k, shape.block) + p / shape.block;
        want += double{c.a[i * (shape.k + 3) + p]} * (q - c.zero[b]) * c.scale[b];
      }
      CHECK(std::fabs(got[i * shape.n + j] - want) < 1e-4);
    }
  }
}

}  // namespace
}  // namespace quaver::kernels
