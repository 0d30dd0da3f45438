#include "kernels/pool/pool.h"

#include "cpp/kernels_compare.h"

namespace quaver::kernels {
namespace {

using testing::compare_kernels;

struct Case {
  PoolKind kind;
  std::size_t pixels, channels, taps;
  unsigned seed;
};

// Rows in exactly as many elements as they have, so that a sanitizer sees each read past them.
template <class T>
void check_case(const Case& c, std::vector<T> (*values)(std::mt19937&, std::size_t)) {
  std::mt19937 random(c.seed);
  const testing::Fenced<T> a(values(random, 7 * c.channels));
  std::vector<std::int32_t> offsets(c.pixels * c.taps);
  const bool padded = random() % 2;
  for (auto& offset : offsets) {
    offset = padded && random() % 5 == 0 ? kPad : static_cast<std::int32_t>(random() % 7 * c.channels * sizeof(T));
  }
  for (std::size_t t = 0; t < c.taps; ++t) offsets[t] = kPad;  // a pixel without a valid tap
  const float mean = std::uniform_real_distribution<float>(0.2F, 1)(random);
  const std::vector<float> mul(c.pixels, mean / static_cast<float>(c.taps));
  const std::vector<float> divisor(c.pixels, static_cast<float>(c.taps));
  PoolArgs args;
  args.pixels = c.pixels;
  args.channels = c.channels;
  args.taps = c.taps;
  args.a = a.data();
  args.offsets = offsets.data();
  args.mul = mul.data();
  args.divisor = divisor.data();
  args.a_zero = static_cast<int>(random() % 256);
  args.zero = static_cast<int>(random() % 256);
  args.lo = static_cast<float>(-args.zero);
  args.hi = static_cast<float>(255 - args.zero);
  args.c_stride = (c.channels + 3) * sizeof(T);
  const std::string where = "channels " + std::to_string(c.channels) + ", taps " + std::to_string(c.taps) + ", seed " +
                            std::to_string(c.seed);
  compare_kernels<T>(
      pool_kernels(), pick_pool(IsaSet{}, c.kind), (c.pixels - 1) * (c.channels + 3) + c.channels, where,
      [&](const PoolKernel& kernel) { return kernel.kind == c.kind; },
      [&](const PoolKernel& kernel, T* out) {
        args.c = out;
        kernel.run(args);
      });
}

void check_kind(PoolKind kind) {
  unsigned seed = 1000 * static_cast<unsigned>(kind);
  for (const std::size_t channels :
       {1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 96, 127, 128, 129, 257, 300}) {
    for (const std::size_t taps : {1, 2, 9, 49, 255, 256, 257, 700}) {
      const Case c{kind, taps > 100 ? std::size_t{2} : std::size_t{5}, channels, taps, ++seed};
      if (kind == PoolKind::max_u8 || kind == PoolKind::average_u8) {
        check_case<std::uint8_t>(c, &testing::random_bytes);
      } else {
        check_case<float>(c, &testing::random_floats);
      }
    }
  }
}

TEST(kernels_pool_max_u8) { check_kind(PoolKind::max_u8); }
TEST(kernels_pool_max_f32) { check_kind(PoolKind::max_f32); }
TEST(kernels_pool_average_u8) { check_kind(PoolKind::average_u8); }
TEST(kernels_pool_average_f32) { check_kind(PoolKind::average_f32); }

TEST(kernels_pool_definition_rounds_to_even) {
  const std::uint8_t a[] = {10, 11, 12, 14};
  const std::int32_t offsets[] = {0, 1, kPad, 1, 2, 3};  // two pixels of three taps
  const float mul[] = {0.5F, 1.0F / 3};
  std::uint8_t c[2];
  PoolArgs args;
  args.pixels = 2;
  args.channels = 1;
  args.taps = 3;
  args.a = a;
  args.offsets = offsets;
  args.mul = mul;
  args.a_zero = 10;
  args.zero = 100;
  args.lo = -100;
  args.hi = 155;
  args.c = c;
  args.c_stride = 1;
  pick_pool(IsaSet{}, PoolKind::average_u8).run(args);
  CHECK_EQ(int{c[0]}, 100);  // 1 / 2 rounds to 0
  CHECK_EQ(int{c[1]}, 102);  // 7 / 3
}

}  // namespace
}  // namespace quaver::kernels
