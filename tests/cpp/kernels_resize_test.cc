#include "kernels/resize/resize.h"

#include "cpp/kernels_compare.h"

namespace quaver::kernels {
namespace {

using testing::compare_kernels;

template <class T>
void check_kind(ResizeKind kind, std::vector<T> (*values)(std::mt19937&, std::size_t)) {
  constexpr std::size_t kWidth = 5, kInWidth = 4;
  unsigned seed = 0;
  for (const std::size_t taps : {2, 4}) {
    for (const std::size_t channels : {1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65, 130}) {
      std::mt19937 random(++seed);
      const testing::Fenced<T> a(values(random, 4 * kInWidth * channels));
      std::vector<std::int32_t> columns(kWidth * taps);
      for (auto& column : columns) column = static_cast<std::int32_t>(random() % kInWidth * channels * sizeof(T));
      std::uniform_real_distribution<float> uniform(-0.3F, 1);
      std::vector<float> wx(kWidth * taps);
      for (float& w : wx) w = uniform(random);
      ResizeArgs args;
      args.width = kWidth;
      args.channels = channels;
      args.taps = taps;
      for (std::size_t r = 0; r < taps; ++r) {
        args.rows[r] = a.data() + random() % 4 * kInWidth * channels;
        args.wy[r] = uniform(random);
      }
      args.columns = columns.data();
      args.wx = wx.data();
      args.a_zero = static_cast<int>(random() % 256);
      args.zero = static_cast<int>(random() % 256);
      args.mul = 1.3F;
      args.lo = static_cast<float>(-args.zero);
      args.hi = static_cast<float>(255 - args.zero);
      compare_kernels<T>(
          resize_kernels(), pick_resize(IsaSet{}, kind), kWidth * channels,
          "channels " + std::to_string(channels) + ", taps " + std::to_string(taps) + ", seed " + std::to_string(seed),
          [&](const ResizeKernel& kernel) { return kernel.kind == kind; },
          [&](const ResizeKernel& kernel, T* out) {
            args.c = out;
            kernel.run(args);
          });
    }
  }
}

TEST(kernels_resize_u8) { check_kind<std::uint8_t>(ResizeKind::u8, &testing::random_bytes); }
TEST(kernels_resize_f32) { check_kind<float>(ResizeKind::f32, &testing::random_floats); }

}  // namespace
}  // namespace quaver::kernels
