// QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear and Cast against ONNX's formulas.
#include <algorithm>
#include <cmath>
#include <limits>

#include "cpp/one_node.h"

namespace {

using namespace one_node;

constexpr unsigned kSeed = 20240614;
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
using Reals = std::vector<float>;
using Bytes = std::vector<std::uint8_t>;
using Signed = std::vector<std::int8_t>;

int quantized(float x, float scale, int zero, int low) {
  return static_cast<int>(std::clamp(std::nearbyint(x / scale) + float(zero), float(low), float(low + 255)));
}

TEST(quantize_linear_per_tensor) {
  std::mt19937 random(kSeed);
  std::normal_distribution<float> normal(0, 10);
  Reals x(20000);
  for (float& item : x) item = normal(random);
  Bench bench;
  const ValueId in = bench.input(DType::f32, {20000}, x), scale = bench.input(DType::f32, {}, Reals{0.13F});
  const auto y = bench.run<std::uint8_t>(Op::QuantizeLinear, {in, scale, bench.input(DType::u8, {}, Bytes{100})},
                                         {bench.output(DType::u8, {20000})});
  const auto s = bench.run<std::int8_t>(Op::QuantizeLinear, {in, scale, bench.constant(DType::s8, {}, Signed{-20})},
                                        {bench.output(DType::s8, {20000})});
  const auto none = bench.run<std::uint8_t>(Op::QuantizeLinear, {in, scale}, {bench.output(DType::u8, {20000})});
  for (std::size_t i = 0; i < x.size(); ++i) {
    CHECK_EQ(+y[i], quantized(x[i], 0.13F, 100, 0));
    CHECK_EQ(+s[i], quantized(x[i], 0.13F, -20, -128));
    CHECK_EQ(+none[i], quantized(x[i], 0.13F, 0, 0));
  }
}

TEST(quantize_linear_of_specials_and_int32) {
  Bench bench;
  const ValueId scale = bench.constant(DType::f32, {1}, Reals{2}), zero = bench.constant(DType::s8, {1}, Signed{3});
  const auto y = bench.run<std::int8_t>(Op::QuantizeLinear,
                                        {bench.input(DType::f32, {5}, Reals{kNan, kInf, -kInf, 1, 3}), scale, zero},
                                        {bench.output(DType::s8, {5})});
  CHECK_EQ(y, (Signed{3, 127, -128, 3, 5}));
  const std::vector<std::int32_t> ints = {5, -7, 2000000000};
  const auto z = bench.run<std::int8_t>(Op::QuantizeLinear, {bench.input(DType::i32, {3}, ints), scale, zero},
                                        {bench.output(DType::s8, {3})});
  CHECK_EQ(z, (Signed{5, -1, 127}));
}

TEST(quantize_and_dequantize_along_an_axis) {
  std::mt19937 random(kSeed);
  const Dims dims = {3, 4, 5};
  Bytes q(60);
  for (auto& item : q) item = static_cast<std::uint8_t>(random());
  for (std::int64_t axis : {0, 1, -1}) {
    const auto n = static_cast<std::size_t>(dims[static_cast<std::size_t>((axis + 3) % 3)]);
    const auto inner = static_cast<std::size_t>(strides_of(dims)[static_cast<std::size_t>((axis + 3) % 3)]);
    Reals scale;
    Bytes zero;
    for (std::size_t c = 0; c < n; ++c) scale.push_back(0.1F * float(c + 1)), zero.push_back(std::uint8_t(40 * c));
    Bench bench;
    Attrs attrs;
    attrs.set("axis", axis);
    const auto channels = static_cast<std::int64_t>(n);
    const ValueId s = bench.constant(DType::f32, {channels}, scale), z = bench.constant(DType::u8, {channels}, zero);
    const auto x = bench.run<float>(Op::DequantizeLinear, {bench.input(DType::u8, dims, q), s, z},
                                    {bench.output(DType::f32, dims)}, attrs);
    for (std::size_t i = 0; i < 60; ++i) CHECK_EQ(x[i], float(q[i] - zero[i / inner % n]) * scale[i / inner % n]);
    const auto back = bench.run<std::uint8_t>(Op::QuantizeLinear, {bench.input(DType::f32, dims, x), s, z},
                                              {bench.output(DType::u8, dims)}, attrs);
    CHECK_EQ(back, q);
  }
}

TEST(dequantize_linear_dtypes) {
  Bench bench;
  const ValueId scale = bench.input(DType::f32, {}, Reals{0.5F});
  const auto out = [&] { return std::vector<ValueId>{bench.output(DType::f32, {2})}; };
  const ValueId s8 = bench.input(DType::s8, {2}, Signed{-128, 127});
  CHECK_EQ(bench.run<float>(Op::DequantizeLinear, {s8, scale}, out()), (Reals{-64, 63.5F}));
  CHECK_EQ(bench.run<float>(Op::DequantizeLinear, {s8, scale, bench.input(DType::s8, {}, Signed{-128})}, out()),
           (Reals{0, 127.5F}));
  const ValueId i32 = bench.input(DType::i32, {2}, std::vector<std::int32_t>{-100000, 7});
  CHECK_EQ(bench.run<float>(Op::DequantizeLinear, {i32, scale}, out()), (Reals{-50000, 3.5F}));
  const ValueId u16 = bench.input(DType::u16, {2}, std::vector<std::uint16_t>{65535, 7});
  CHECK_EQ(bench.run<float>(Op::DequantizeLinear, {u16, scale}, out()), (Reals{32767.5F, 3.5F}));
  const ValueId i64 = bench.input(DType::i64, {2}, std::vector<std::int64_t>{1, 2});
  CHECK_THROWS(bench.run<float>(Op::DequantizeLinear, {i64, scale}, out()), Error, "from int64");
}

void check_dynamic(Reals x, float scale, int zero, Bytes want) {
  Bench bench;
  const auto n = static_cast<std::int64_t>(x.size());
  const ValueId s = bench.output(DType::f32, {}), z = bench.output(DType::u8, {});
  const auto y = bench.run<std::uint8_t>(Op::DynamicQuantizeLinear, {bench.input(DType::f32, {n}, x)},
                                         {bench.output(DType::u8, {n}), s, z});
  CHECK_EQ(y, want);
  CHECK_EQ(bench.first<float>(s), scale);
  CHECK_EQ(+bench.first<std::uint8_t>(z), zero);
}

TEST(dynamic_quantize_linear) {
  // The three examples of the ONNX operator's own tests.
  check_dynamic({0, 2, -3, -2.5F, 1.34F, 0.5F}, 5.0F / 255, 153, {153, 255, 0, 26, 221, 179});
  check_dynamic({-1, -2.1F, -1.3F, -2.5F, -3.34F, -4}, 4.0F / 255, 255, {191, 121, 172, 96, 42, 0});
  check_dynamic({1, 2.1F, 1.3F, 2.5F, 3.34F, 4, 1.5F, 2.6F, 3.9F, 4, 3, 2.345F}, 4.0F / 255, 0,
                {64, 134, 83, 159, 213, 255, 96, 166, 249, 255, 191, 149});
  check_dynamic({0, 0}, 1, 0, {0, 0});
}

template <class From, class To>
std::vector<To> cast(DType from, DType to, std::vector<From> x) {
  Bench bench;
  const auto n = static_cast<std::int64_t>(x.size());
  return bench.run<To>(Op::Cast, {bench.input(from, {n}, x)}, {bench.output(to, {n})});
}

TEST(cast_between_numbers) {
  using I64 = std::vector<std::int64_t>;
  CHECK_EQ((cast<float, std::int32_t>(DType::f32, DType::i32, {1.9F, -1.9F, kNan, kInf, -3e9F})),
           (std::vector<std::int32_t>{1, -1, 0, INT32_MAX, INT32_MIN}));
  CHECK_EQ((cast<double, std::int64_t>(DType::f64, DType::i64, {1e300, -9.5, 1e12})),
           (I64{INT64_MAX, -9, 1000000000000}));
  CHECK_EQ((cast<float, std::uint8_t>(DType::f32, DType::u8, {300, -1, 254.9F})), (Bytes{255, 0, 254}));
  CHECK_EQ((cast<std::int64_t, std::uint8_t>(DType::i64, DType::u8, {255, 256, -1})), (Bytes{255, 0, 255}));
  CHECK_EQ((cast<std::int64_t, float>(DType::i64, DType::f32, {16777217, -5})), (Reals{16777216, -5}));
  CHECK_EQ((cast<std::uint64_t, double>(DType::u64, DType::f64, {UINT64_MAX})), (std::vector<double>{0x1p64}));
  CHECK_EQ((cast<float, std::uint8_t>(DType::f32, DType::boolean, {0, -0.0F, 0.1F, kNan})), (Bytes{0, 0, 1, 1}));
  CHECK_EQ((cast<std::uint8_t, std::int64_t>(DType::boolean, DType::i64, {0, 1})), (I64{0, 1}));
  CHECK_EQ((cast<std::int8_t, std::uint32_t>(DType::s8, DType::u32, {-1})), (std::vector<std::uint32_t>{UINT32_MAX}));
  CHECK_EQ((cast<double, float>(DType::f64, DType::f32, {0.1, 1e300})), (Reals{0.1F, kInf}));
}

TEST(cast_of_16_bit_floats) {
  using U16 = std::vector<std::uint16_t>;
  // 1, −2, max, ties to even at the top (→ inf), least subnormal, half of it (→ 0), a carry into the exponent.
  const Reals x = {1, -2, 65504, 65520, 0x1p-24F, 0x1p-25F, 0x1.ffep0F, 0x1.fffp0F, kInf, -0.0F};
  const U16 half = {0x3C00, 0xC000, 0x7BFF, 0x7C00, 1, 0, 0x4000, 0x4000, 0x7C00, 0x8000};
  CHECK_EQ((cast<float, std::uint16_t>(DType::f32, DType::f16, x)), half);
  CHECK_EQ((cast<float, std::uint16_t>(DType::f32, DType::bf16, {1, -2, 0x1.01p0F, 0x1.03p0F, 3.4e38F, 1e-45F})),
           (U16{0x3F80, 0xC000, 0x3F80, 0x3F82, 0x7F80, 0}));
  // All finite halves and bfloats come back.
  for (const DType dtype : {DType::f16, DType::bf16}) {
    const std::uint16_t infinite = dtype == DType::f16 ? 0x7C00 : 0x7F80;
    U16 all;
    for (int bits = 0; bits < 65536; ++bits) {
      if ((bits & 0x7FFF) <= infinite) all.push_back(static_cast<std::uint16_t>(bits));
    }
    CHECK((cast<float, std::uint16_t>(DType::f32, dtype, cast<std::uint16_t, float>(dtype, DType::f32, all))) == all);
  }
  const auto nan = cast<float, std::uint16_t>(DType::f32, DType::f16, {kNan});
  CHECK(std::isnan((cast<std::uint16_t, float>(DType::f16, DType::f32, nan)[0])));
}

}  // namespace
