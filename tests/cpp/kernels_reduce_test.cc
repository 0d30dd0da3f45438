#include "kernels/reduce/reduce.h"

#include "cpp/kernels_compare.h"

namespace quaver::kernels {
namespace {

using testing::compare_kernels;

constexpr std::size_t kSizes[] = {0, 1, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 1000};

template <class T>
void check_kind(ReduceKind kind, std::vector<T> (*values)(std::mt19937&, std::size_t)) {
  for (const std::size_t n : kSizes) {
    for (unsigned seed = 0; seed < 6; ++seed) {
      std::mt19937 random(seed);
      const testing::Fenced<T> a(values(random, 3 * n));
      ReduceArgs args;
      args.rows = 3;
      args.n = n;
      args.a = a.data();
      args.mul = 0.01F;
      args.divisor = 7;
      args.a_zero = static_cast<int>(random() % 256);
      args.zero = static_cast<int>(random() % 256);
      args.lo = static_cast<float>(-args.zero);
      args.hi = static_cast<float>(255 - args.zero);
      compare_kernels<T>(
          reduce_kernels(), pick_reduce(IsaSet{}, kind), 3, "n " + std::to_string(n) + ", seed " + std::to_string(seed),
          [&](const ReduceKernel& kernel) { return kernel.kind == kind; },
          [&](const ReduceKernel& kernel, T* out) {
            args.c = out;
            kernel.run(args);
          });
    }
  }
}

TEST(kernels_reduce_max_u8) { check_kind<std::uint8_t>(ReduceKind::max_u8, &testing::random_bytes); }
TEST(kernels_reduce_max_f32) { check_kind<float>(ReduceKind::max_f32, &testing::random_floats); }
TEST(kernels_reduce_sum_u8) { check_kind<std::uint8_t>(ReduceKind::sum_u8, &testing::random_bytes); }
TEST(kernels_reduce_sum_f32) { check_kind<float>(ReduceKind::sum_f32, &testing::random_floats); }

TEST(kernels_reduce_definition) {
  std::vector<float> a(100);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<float>(i);
  float c = 0;
  ReduceArgs args;
  args.rows = 1;
  args.n = a.size();
  args.a = a.data();
  args.divisor = 100;
  args.c = &c;
  pick_reduce(IsaSet{}, ReduceKind::sum_f32).run(args);
  CHECK_EQ(c, 49.5F);
  pick_reduce(IsaSet{}, ReduceKind::max_f32).run(args);
  CHECK_EQ(c, 99.0F);
}

}  // namespace
}  // namespace quaver::kernels
