// Every quantization kernel that this CPU runs against the scalar definition, to the bit, and that against arithmetic.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "base/error.h"
#include "cpp/check.h"
#include "isa/cpu.h"
#include "kernels/quantize/quantize.h"

namespace {

using namespace quaver;
using namespace quaver::kernels;

constexpr unsigned kSeed = 20240612;
constexpr std::size_t kSizes[] = {0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 1000};
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> some_floats(std::mt19937& random, std::size_t n) {
  const float special[] = {kInf, -kInf, kNan, 0.0F, -0.0F, 1e-40F, 3.4e38F, -3.4e38F, 2.5F, 3.5F, -2.5F, 1e12F, -1e12F};
  std::normal_distribution<float> normal(0, 100);
  std::vector<float> out(n);
  for (float& x : out) x = random() % 4 ? normal(random) : special[random() % std::size(special)];
  return out;
}

template <class List, class Args, class T>
std::vector<T> compare(List list, Args args, T* Args::* out) {
  CHECK(list.items[0]->isa == Isa::scalar);
  std::vector<T> want(args.n + 1, T{42});
  args.*out = want.data();
  list.items[0]->run(args);
  CHECK_EQ(want.back(), T{42});
  for (std::size_t k = 1; k < list.size; ++k) {
    if (!detected_isa().has(list.items[k]->isa)) continue;
    std::vector<T> got(args.n + 1, T{42});
    args.*out = got.data();
    list.items[k]->run(args);
    if (std::memcmp(got.data(), want.data(), want.size() * sizeof(T)) != 0) {
      check::failed(__FILE__, __LINE__, text(list.items[k]->name, " differs, n = ", args.n, "; seed ", kSeed));
    }
  }
  return want;
}

TEST(quantize_kernels_agree) {
  std::mt19937 random(kSeed);
  for (std::size_t n : kSizes) {
    for (std::size_t step : {0, 1}) {
      for (std::uint8_t flip : {0, 0x80}) {
        const auto x = some_floats(random, n);
        std::vector<float> scale(n + 1);
        std::vector<std::int32_t> zero(n + 1);
        for (float& s : scale) s = random() % 4 ? 0.37F : random() % 2 ? 1.0F : 1e-30F;
        for (auto& z : zero) z = random() % 256;
        QuantizeArgs args;
        args.n = n, args.x = x.data(), args.scale = scale.data(), args.zero_point = zero.data();
        args.step = step, args.flip = flip;
        compare(quantize_kernels(), args, &QuantizeArgs::y);
      }
    }
  }
}

// Quotients that lie in the middle between two integers, or within a few steps of a float from it.
TEST(quantize_kernels_agree_between_integers) {
  std::mt19937 random(kSeed);
  std::uniform_real_distribution<float> spread(1e-3F, 1e2F);
  for (int round = 0; round < 200; ++round) {
    const float extremes[] = {1e-38F, 1e-31F, 1e-30F, 1e31F};
    const float scale = round % 8 ? spread(random) : extremes[round / 8 % 4];
    const auto zero = static_cast<std::int32_t>(random() % 256);
    std::vector<float> x(256);
    for (float& value : x) {
      value = (static_cast<float>(random() % 600) - 300.5F) * scale;
      for (auto steps = random() % 8; steps > 0; --steps) value = std::nextafter(value, random() % 2 ? kInf : -kInf);
    }
    QuantizeArgs args;
    args.n = x.size(), args.x = x.data(), args.scale = &scale, args.zero_point = &zero;
    compare(quantize_kernels(), args, &QuantizeArgs::y);
  }
}

// With inverses, as without; rows of any length.
TEST(quantize_kernels_agree_on_inverses) {
  std::mt19937 random(kSeed);
  std::uniform_real_distribution<float> spread(1e-3F, 1e2F);
  for (std::size_t n : kSizes) {
    for (int round = 0; round < 20; ++round) {
      std::vector<float> x = some_floats(random, n), scale(n), inverse(n);
      const std::vector<std::int32_t> zero(n, static_cast<std::int32_t>(random() % 256));
      for (std::size_t i = 0; i < n; ++i) {
        scale[i] = random() % 8 ? spread(random) : 0x1p-99F;
        inverse[i] = 1.0F / scale[i];
        if (random() % 2) x[i] = (static_cast<float>(random() % 600) - 300.5F) * scale[i];  // in the middle
        if (random() % 2) x[i] = std::nextafter(x[i], random() % 2 ? kInf : -kInf);
      }
      QuantizeArgs args;
      args.n = n, args.x = x.data(), args.scale = scale.data(), args.zero_point = zero.data(), args.step = 1;
      const auto want = compare(quantize_kernels(), args, &QuantizeArgs::y);
      args.inverse = inverse.data();
      CHECK(compare(quantize_kernels(), args, &QuantizeArgs::y) == want);
    }
  }
}

TEST(quantize_computes) {
  const float x[] = {0, 1, 1.25F, 0.75F, -0.25F, 1e9F, -1e9F, kInf, -kInf, kNan};
  const int want[] = {10, 12, 12, 12, 10, 255, 0, 255, 0, 10};  // 2.5 → 2, 1.5 → 2, −0.5 → 0
  const float scale = 0.5F;
  const std::int32_t zero = 10;
  QuantizeArgs args;
  args.n = std::size(x), args.x = x, args.scale = &scale, args.zero_point = &zero;
  const auto y = compare(quantize_kernels(), args, &QuantizeArgs::y);
  for (std::size_t i = 0; i < args.n; ++i) CHECK_EQ(+y[i], want[i]);
}

TEST(dequantize_kernels_agree) {
  std::mt19937 random(kSeed);
  for (std::size_t n : kSizes) {
    for (std::size_t step : {0, 1}) {
      for (std::uint8_t flip : {0, 0x80}) {
        std::vector<std::uint8_t> x(n);
        std::vector<float> scale(n + 1);
        std::vector<std::int32_t> zero(n + 1);
        for (auto& q : x) q = static_cast<std::uint8_t>(random());
        for (float& s : scale) s = static_cast<float>(random() % 1000) * 0.013F;
        for (auto& z : zero) z = random() % 256;
        DequantizeArgs args;
        args.n = n, args.x = x.data(), args.scale = scale.data(), args.zero_point = zero.data();
        args.step = step, args.flip = flip;
        const auto y = compare(dequantize_kernels(), args, &DequantizeArgs::y);
        for (std::size_t i = 0; i < n; ++i) {
          CHECK_EQ(y[i], static_cast<float>((x[i] ^ flip) - zero[i * step]) * scale[i * step]);
        }
      }
    }
  }
}

TEST(range_kernels_agree) {
  std::mt19937 random(kSeed);
  for (std::size_t n : kSizes) {
    const auto x = some_floats(random, n);
    float least = 0, greatest = 0;
    for (float item : x) {
      least = item < least ? item : least;
      greatest = item > greatest ? item : greatest;
    }
    const RangeList list = range_kernels();
    for (std::size_t k = 0; k < list.size; ++k) {
      if (!detected_isa().has(list.items[k]->isa)) continue;
      float got_least = 1, got_greatest = -1;
      list.items[k]->run({n, x.data(), &got_least, &got_greatest});
      CHECK_EQ(got_least, least);
      CHECK_EQ(got_greatest, greatest);
    }
  }
}

}  // namespace
