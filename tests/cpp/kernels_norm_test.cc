#include "kernels/norm/norm.h"

#include "cpp/kernels_compare.h"

namespace quaver::kernels {
namespace {

using testing::Fenced;

constexpr std::size_t kSizes[] = {1, 2, 7, 15, 16, 17, 31, 33, 63, 64, 65, 127, 128, 129, 384};
constexpr std::size_t kRows = kNormRows + 3;

// Operands, as bytes or as floats, that end where memory does.
struct Case {
  Case(unsigned seed, std::size_t n, bool a_bytes, int residual)
      : random(seed),
        floats(testing::random_floats(random, kRows * n)),
        more(testing::random_floats(random, kRows * n)),
        bytes(testing::random_bytes(random, kRows * n)),
        gamma(testing::random_floats(random, n)),
        beta(testing::random_floats(random, n)),
        scratch(kNormRows * n) {
    args.rows = kRows, args.n = n, args.epsilon = 1e-5F;
    args.gamma = gamma.data(), args.beta = beta.data(), args.scratch = scratch.data();
    args.mul = 31.7F;
    args.zero = static_cast<int>(random() % 256);
    args.lo = static_cast<float>(-args.zero), args.hi = static_cast<float>(255 - args.zero);
    if (seed % 4 > 1) args.factor = gamma.data();
    point(args.a, a_bytes, floats);
    if (residual) point(args.r, residual == 2, more);
  }
  void point(NormOperand& to, bool as_bytes, const Fenced<float>& from) {
    to.scale = 0.03F, to.zero = 101;
    if (as_bytes) {
      to.u8 = bytes.data();
    } else {
      to.f32 = from.data();
    }
  }
  std::mt19937 random;
  Fenced<float> floats, more;
  Fenced<std::uint8_t> bytes;
  Fenced<float> gamma, beta;
  std::vector<float> scratch;
  LayerNormArgs args;
};

template <class Out, class Run>
void check_all(Run run) {
  for (const std::size_t n : kSizes) {
    for (unsigned seed = 0; seed < 12; ++seed) {
      Case c(seed, n, seed % 2 != 0, static_cast<int>(seed / 2 % 3));
      testing::compare_kernels<Out>(
          layer_norm_kernels(), pick_layer_norm(IsaSet{}), kRows * n,
          "n " + std::to_string(n) + ", seed " + std::to_string(seed), [](const LayerNormKernel&) { return true; },
          [&](const LayerNormKernel& kernel, Out* out) { run(c.args, kernel, out); });
    }
  }
}

TEST(kernels_layer_norm_f32) {
  check_all<float>([](LayerNormArgs args, const LayerNormKernel& kernel, float* out) {
    args.c = out;
    kernel.run(args);
  });
}

TEST(kernels_layer_norm_u8) {
  check_all<std::uint8_t>([](LayerNormArgs args, const LayerNormKernel& kernel, std::uint8_t* out) {
    args.b = out;
    kernel.run(args);
  });
}

TEST(kernels_layer_norm_both) {
  std::vector<float> floats(kRows * 384);
  check_all<std::uint8_t>([&](LayerNormArgs args, const LayerNormKernel& kernel, std::uint8_t* out) {
    args.c = floats.data();
    args.b = out;
    kernel.run(args);
  });
}

TEST(kernels_layer_norm_definition) {
  const float a[] = {1, 2, 3, 4}, gamma[] = {1, 1, 2, 1}, beta[] = {0, 0, 0, 1};
  float scratch[4], c[4];
  std::uint8_t b[4];
  LayerNormArgs args;
  args.rows = 1, args.n = 4, args.a.f32 = a, args.gamma = gamma, args.beta = beta;
  args.mul = 10, args.zero = 100, args.lo = -100, args.hi = 155;
  args.scratch = scratch, args.c = c, args.b = b;
  pick_layer_norm(IsaSet{}).run(args);
  const float want[] = {-1.3416408F, -0.4472136F, 0.8944272F, 2.3416408F};
  const std::uint8_t bytes[] = {87, 96, 109, 123};
  for (int i = 0; i < 4; ++i) {
    CHECK(std::fabs(c[i] - want[i]) < 1e-6F);
    CHECK_EQ(int{b[i]}, int{bytes[i]});
  }
}

}  // namespace
}  // namespace quaver::kernels
