#include "kernels/softmax/softmax.h"

#include <algorithm>

#include "cpp/kernels_compare.h"
#include "kernels/softmax/exp.h"

namespace quaver::kernels {
namespace {

using testing::compare_kernels;

constexpr std::size_t kSizes[] = {1, 2, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 129, 1000};

// Three rows, or `columns` columns a little apart from the next ones.
template <class In, class Out>
void check(std::vector<In> (*values)(std::mt19937&, std::size_t), std::size_t columns) {
  for (const std::size_t n : kSizes) {
    for (unsigned seed = 0; seed < 6; ++seed) {
      std::mt19937 random(seed);
      const std::size_t stride = columns + seed % 3, size = columns ? (n - 1) * stride + columns : 3 * n;
      const testing::Fenced<In> a(values(random, size));
      std::vector<float> scratch(n * kSoftmaxColumns);
      SoftmaxArgs args;
      args.rows = 3;
      args.n = n;
      args.columns = columns;
      args.stride = stride;
      args.a = a.data();
      args.a_u8 = sizeof(In) == 1;
      args.c_u8 = sizeof(Out) == 1;
      args.a_zero = static_cast<int>(random() % 256);
      args.a_scale = 0.07F;
      args.mul = 255;
      args.zero = seed % 2 ? 0 : 128;
      args.lo = static_cast<float>(-args.zero);
      args.hi = static_cast<float>(255 - args.zero);
      args.scratch = scratch.data();
      compare_kernels<Out>(
          softmax_kernels(), pick_softmax(IsaSet{}), size,
          std::to_string(columns) + " columns, n " + std::to_string(n) + ", seed " + std::to_string(seed),
          [](const SoftmaxKernel&) { return true; },
          [&](const SoftmaxKernel& kernel, Out* out) {
            args.c = out;
            kernel.run(args);
          });
    }
  }
}

template <class In, class Out>
void check_types(std::vector<In> (*values)(std::mt19937&, std::size_t)) {
  for (const std::size_t columns : {0, 1, 15, 16, 17, 33}) check<In, Out>(values, columns);
}

TEST(kernels_softmax_f32) { check_types<float, float>(&testing::random_floats); }
TEST(kernels_softmax_u8) { check_types<std::uint8_t, std::uint8_t>(&testing::random_bytes); }
TEST(kernels_softmax_u8_to_f32) { check_types<std::uint8_t, float>(&testing::random_bytes); }
TEST(kernels_softmax_f32_to_u8) { check_types<float, std::uint8_t>(&testing::random_floats); }

TEST(kernels_softmax_exp_is_accurate) {
  double worst = 0;
  for (float x = 0; x > -87.32F; x = x * 1.00001F - 1e-6F) {
    const double exact = std::exp(static_cast<double>(x));
    const float rounded = static_cast<float>(exact);
    const double unit = std::nextafter(rounded, INFINITY) - rounded;
    worst = std::max(worst, std::fabs(exp_negative(x) - exact) / unit);
  }
  CHECK(worst < 2);
  CHECK(worst > 0.4);  // it was measured at all
  CHECK_EQ(exp_negative(0.0F), 1.0F);
  CHECK_EQ(exp_negative(-88.0F), 0.0F);
  CHECK_EQ(exp_negative(-INFINITY), 0.0F);
  CHECK(std::isnan(exp_negative(NAN)));
}

TEST(kernels_softmax_definition) {
  const float a[] = {1, 2, 3, -INFINITY};
  float scratch[4], c[4];
  SoftmaxArgs args;
  args.rows = 1;
  args.n = 4;
  args.a = a;
  args.scratch = scratch;
  args.c = c;
  pick_softmax(IsaSet{}).run(args);
  CHECK(std::fabs(c[0] - 0.09003057F) < 1e-7F);
  CHECK(std::fabs(c[1] - 0.24472848F) < 1e-7F);
  CHECK(std::fabs(c[2] - 0.66524094F) < 1e-7F);
  CHECK_EQ(c[3], 0.0F);
}

}  // namespace
}  // namespace quaver::kernels
