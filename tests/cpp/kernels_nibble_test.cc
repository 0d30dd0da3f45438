#include "kernels/nibble/nibble.h"

#include "cpp/kernels_compare.h"
#include "kernels/nibble/panels.h"

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

// Panels: the same weights, and rows of bytes.
struct PanelCase {
  PanelCase(unsigned seed, const Shape& shape)
      : random(seed),
        panels{shape.n, shape.k, shape.block},
        stored(testing::random_bytes(random, shape.n * column_bytes(shape))),
        packed(std::vector<std::uint8_t>(panels.panels() * panels.panel_bytes())),
        scale(testing::random_floats(random, panels.panels() * panels.blocks() * kNibblePanel)),
        zero(testing::random_bytes(random, scale.size())),
        bias(testing::random_floats(random, shape.n)),
        a(testing::random_floats(random, shape.m * shape.k)),
        q(std::vector<std::int8_t>(shape.m * panels.blocks() * shape.block)),
        step(std::vector<float>(shape.m * panels.blocks())),
        sum(std::vector<std::int32_t>(step.size())) {
    for (std::uint8_t& z : zero) z &= 15;
    pack_nibble_panels(panels, stored.data(), packed.data());
    args = {panels,       shape.m,     q.data(), step.data(), sum.data(), packed.data(),
            scale.data(), zero.data(), nullptr,  nullptr,     shape.n};
    if (seed % 2) args.bias = bias.data();
  }

  void quantize(const NibblePanelKernel& kernel) {
    for (std::size_t i = 0; i < args.m; ++i) {
      const std::size_t b = i * panels.blocks();
      kernel.quantize({panels.k, panels.block, a.data() + i * panels.k, q.data() + b * panels.block, step.data() + b,
                       sum.data() + b});
    }
  }

  std::mt19937 random;
  NibblePanels panels;
  std::vector<std::uint8_t> stored;
  Fenced<std::uint8_t> packed;
  Fenced<float> scale;
  Fenced<std::uint8_t> zero;
  Fenced<float> bias, a;
  Fenced<std::int8_t> q;
  Fenced<float> step;
  Fenced<std::int32_t> sum;
  NibblePanelArgs args;
};

TEST(kernels_nibble_panels_agree) {
  const auto any = [](const NibblePanelKernel&) { return true; };
  const NibblePanelKernel& definition = pick_nibble_panels(IsaSet{});
  for (const Shape& shape : kShapes) {
    for (unsigned seed = 0; seed < 6; ++seed) {
      PanelCase c(seed, shape);
      const std::string what =
          "n " + std::to_string(shape.n) + ", k " + std::to_string(shape.k) + ", seed " + std::to_string(seed);
      c.quantize(definition);
      testing::compare_kernels<float>(nibble_panel_kernels(), definition, shape.m * shape.n, what, any,
                                      [&](const NibblePanelKernel& kernel, float* out) {
                                        c.args.c = out;
                                        kernel.run(c.args);
                                      });
      testing::compare_kernels<float>(
          nibble_panel_kernels(), definition, shape.k * kNibblePanel, what + ", reals", any,
          [&](const NibblePanelKernel& kernel, float* out) { kernel.reals(c.args, c.panels.panels() - 1, out); });
    }
  }
}

TEST(kernels_nibble_rows_agree) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInf = std::numeric_limits<float>::infinity();
  for (const Shape& shape : kShapes) {
    PanelCase c(3, shape);
    for (const float special : {0.0F, 1e-38F, kInf, kNan}) {
      c.a[c.a.size() / 2] = special;
      for (const auto pick : {0, 1}) {  // the bytes and sums, then the steps
        testing::compare_kernels<float>(
            nibble_panel_kernels(), pick_nibble_panels(IsaSet{}), c.q.size() + c.sum.size(),
            "k " + std::to_string(shape.k), [](const NibblePanelKernel&) { return true; },
            [&](const NibblePanelKernel& kernel, float* out) {
              c.quantize(kernel);
              if (pick == 0) {
                out = std::copy(c.q.begin(), c.q.end(), out);
                std::copy(c.sum.begin(), c.sum.end(), out);
              } else {
                std::fill_n(out, c.q.size() + c.sum.size(), 0.0F);
                std::copy(c.step.begin(), c.step.end(), out);
              }
            });
      }
    }
  }
}

// Against the product of what bytes and weights stand for, in double precision.
TEST(kernels_nibble_panels_definition) {
  const Shape shape{2, 19, 50, 16};
  PanelCase c(1, shape);
  std::mt19937 random(9);
  for (float& x : c.a) x = static_cast<float>(random() % 200) / 100 - 1;
  for (float& x : c.scale) x = static_cast<float>(random() % 100 + 1) / 1000;
  for (float& x : c.bias) x = static_cast<float>(random() % 10);
  std::vector<float> got(shape.m * shape.n);
  c.args.c = got.data();
  c.quantize(pick_nibble_panels(IsaSet{}));
  pick_nibble_panels(IsaSet{}).run(c.args);
  for (std::size_t i = 0; i < shape.m; ++i) {
    for (std::size_t j = 0; j < shape.n; ++j) {
      double want = c.bias[j], allowed = 1e-5;
      for (std::size_t p = 0; p < shape.k; ++p) {
        const int w = c.stored[j * column_bytes(shape) + p / 2] >> (p % 2 * 4) & 15;
        const std::size_t at =
            (j / kNibblePanel * c.panels.blocks() + p / shape.block) * kNibblePanel + j % kNibblePanel;
        const double weight = double(w - c.zero[at]) * c.scale[at];
        want += double{c.a[i * shape.k + p]} * weight;
        allowed += std::fabs(weight) / 254;  // half a step of a byte
      }
      CHECK(std::fabs(got[i * shape.n + j] - want) < allowed);
    }
  }
}

}  // namespace
}  // namespace quaver::kernels
