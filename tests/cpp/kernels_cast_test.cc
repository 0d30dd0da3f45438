// Every kernel of casts that this CPU runs against the scalar definition, between all types, and the definition against
// what C++ and the bits of 16-bit floats say.
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "cpp/check.h"
#include "cpp/kernels_compare.h"
#include "kernels/cast/cast.h"
#include "kernels/cast/half.h"

namespace {

using namespace quaver;
using namespace quaver::kernels;
using quaver::testing::Fenced;

constexpr unsigned kSeed = 20261201;
constexpr std::size_t kSizes[] = {0, 1, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 200};
constexpr std::size_t kBytes[] = {4, 2, 2, 1, 1, 4, 8, 1};

std::size_t bytes_of(Number number) { return kBytes[static_cast<int>(number)]; }

// Bytes that are any number, NaN among them; truths are 0 or 1.
std::vector<std::uint8_t> some(std::mt19937& random, Number number, std::size_t n) {
  std::vector<std::uint8_t> bytes(n * bytes_of(number));
  if (number == Number::f32) {
    std::vector<float> floats = quaver::testing::random_floats(random, n);
    const float factor = random() % 2 ? 1.0F : 3e4F;
    for (float& x : floats) x *= factor;
    std::memcpy(bytes.data(), floats.data(), bytes.size());
    return bytes;
  }
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(number == Number::boolean ? random() % 2 : random());
  return bytes;
}

bool is_nan(Number number, const std::uint8_t* at) {
  std::uint64_t bits = 0;
  std::memcpy(&bits, at, bytes_of(number));
  switch (number) {
    case Number::f32: return (bits & 0x7FFFFFFF) > 0x7F800000;
    case Number::f16: return (bits & 0x7FFF) > 0x7C00;
    case Number::bf16: return (bits & 0x7FFF) > 0x7F80;
    default: return false;
  }
}

bool same(Number number, const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b) {
  const std::size_t size = bytes_of(number);
  for (std::size_t i = 0; i < a.size(); i += size) {
    const bool nans = is_nan(number, a.data() + i) && is_nan(number, b.data() + i);
    if (!nans && std::memcmp(a.data() + i, b.data() + i, size) != 0) return false;
  }
  return true;
}

template <class From, class To>
To cast_one(Number from, Number to, From x) {
  To y{};
  cast_kernels().items[0]->run({from, to, 1, &x, &y});
  return y;
}

TEST(cast_kernels_agree) {
  std::mt19937 random(kSeed);
  const CastList list = cast_kernels();
  for (int f = 0; f < kNumberCount; ++f) {
    for (int t = 0; t < kNumberCount; ++t) {
      const auto from = static_cast<Number>(f), to = static_cast<Number>(t);
      for (std::size_t n : kSizes) {
        const auto bytes = some(random, from, n);
        const Fenced<std::uint8_t> x(bytes);
        std::vector<std::uint8_t> want(n * bytes_of(to), 42);
        list.items[0]->run({from, to, n, x.data(), want.data()});
        for (std::size_t k = 1; k < list.size; ++k) {
          if (!kernel_case::runnable(list.items[k]->isa)) continue;
          const Fenced<std::uint8_t> y(std::vector<std::uint8_t>(want.size(), 42));
          list.items[k]->run({from, to, n, x.data(), y.data()});
          if (same(to, {y.begin(), y.end()}, want)) continue;
          check::failed(__FILE__, __LINE__,
                        std::string(list.items[k]->name) + " differs from " + std::to_string(f) + " to " +
                            std::to_string(t) + ", " + std::to_string(n) + " elements");
        }
      }
    }
  }
}

TEST(cast_of_reals_to_integers_is_cut_and_held) {
  const auto to_s8 = [](float x) { return cast_one<float, std::int8_t>(Number::f32, Number::s8, x); };
  CHECK_EQ(to_s8(1.9F), 1);
  CHECK_EQ(to_s8(-1.9F), -1);
  CHECK_EQ(to_s8(1e9F), 127);
  CHECK_EQ(to_s8(-1e9F), -128);
  CHECK_EQ(to_s8(NAN), 0);
  const auto to_i64 = [](float x) { return cast_one<float, std::int64_t>(Number::f32, Number::i64, x); };
  CHECK_EQ(to_i64(INFINITY), INT64_MAX);
  CHECK_EQ(to_i64(-INFINITY), INT64_MIN);
  CHECK_EQ((cast_one<std::int32_t, std::uint8_t>(Number::i32, Number::u8, -1)), 255);
  CHECK_EQ((cast_one<float, std::uint8_t>(Number::f32, Number::boolean, 0.1F)), 1);
}

TEST(cast_to_half_is_the_nearest) {
  const auto half = [](float x) { return cast_one<float, std::uint16_t>(Number::f32, Number::f16, x); };
  CHECK_EQ(half(1.0F), 0x3C00);
  CHECK_EQ(half(1.0F + 0x1p-11F), 0x3C00);  // a tie, to even
  CHECK_EQ(half(1.0F + 0x1.8p-10F), 0x3C02);
  CHECK_EQ(half(65519.0F), 0x7BFF);
  CHECK_EQ(half(65520.0F), 0x7C00);
  CHECK_EQ(half(-0x1p-24F), 0x8001);
  CHECK_EQ((cast_one<std::int64_t, std::uint16_t>(Number::i64, Number::f16, 2049)), 0x6800);
  // Halfway between two of bf16, but for one bit that a float has no room for.
  CHECK_EQ((cast_one<std::int32_t, std::uint16_t>(Number::i32, Number::bf16, 0x40800001)), 0x4E81);
  for (unsigned bits = 0; bits < 0x7C00; ++bits) {
    const auto x = cast_one<std::uint16_t, float>(Number::f16, Number::f32, static_cast<std::uint16_t>(bits));
    CHECK_EQ(half(x), bits);
  }
}

}  // namespace
