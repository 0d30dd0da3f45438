// Pooling, reductions, softmax and resizing against their formulas in double precision.
#include <cmath>
#include <numeric>

#include "cpp/graph_builder.h"
#include "cpp/one_node.h"
#include "graph/resize_shape.h"
#include "graph/window.h"

namespace {

using namespace one_node;
using quaver::testing::AttrList;
using quaver::testing::attrs;
using quaver::testing::Ints;
using Bytes = std::vector<std::uint8_t>;
using Floats = std::vector<float>;

Floats random_floats(unsigned seed, std::int64_t n) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 2);
  Floats out(static_cast<std::size_t>(n));
  for (float& x : out) x = normal(random);
  return out;
}

Bytes random_bytes(unsigned seed, std::int64_t n) {
  std::mt19937 random(seed);
  Bytes out(static_cast<std::size_t>(n));
  for (auto& x : out) x = static_cast<std::uint8_t>(random());
  return out;
}

void check_near(const Floats& got, const std::vector<double>& want, double tolerance) {
  CHECK_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (!(std::fabs(got[i] - want[i]) <= tolerance * std::max(1.0, std::fabs(want[i])))) {
      return check::failed(__FILE__, __LINE__, text("at ", i, ": ", got[i], " vs ", want[i]));
    }
  }
}

// `want` in reals: the nearest step, or its neighbour within a thousandth of a tie.
void check_steps(const Bytes& got, const std::vector<double>& want, const Quant& q) {
  CHECK_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double step = std::clamp(want[i] / q.scale[0] + q.zero_point[0], 0.0, 255.0);
    if (std::fabs(got[i] - step) > 0.501) {
      return check::failed(__FILE__, __LINE__, text("at ", i, ": ", int{got[i]}, " vs ", step));
    }
  }
}

std::vector<double> reals(const Bytes& x, const Quant& q) {
  std::vector<double> out;
  for (const int byte : x) out.push_back(static_cast<double>(byte - q.zero_point[0]) * q.scale[0]);
  return out;
}

std::vector<double> reals(const Floats& x) { return {x.begin(), x.end()}; }

// Max and average pooling of x [N, H, W, C], straight from ONNX's text.
struct Pooled {
  Dims shape;
  std::vector<double> max, mean;
};

Pooled pool(const std::vector<double>& x, const Dims& in, const Attrs& a) {
  const auto kernel = a.ints("kernel_shape");
  const Window win = resolve_window(a, in[1], in[2], kernel[0], kernel[1]);
  const bool ceil_mode = a.i("ceil_mode"), with_padding = a.i("count_include_pad");
  Pooled out{{in[0], win.out(0, in[1], ceil_mode), win.out(1, in[2], ceil_mode), in[3]}, {}, {}};
  for (std::int64_t i = 0; i < count(out.shape); ++i) {
    const std::int64_t c = i % in[3], ox = i / in[3] % out.shape[2], oy = i / in[3] / out.shape[2] % out.shape[1];
    const std::int64_t n = i / in[3] / out.shape[2] / out.shape[1];
    double max = -INFINITY, sum = 0;
    int taps = 0;
    for (std::int64_t k = 0; k < kernel[0] * kernel[1]; ++k) {
      const std::int64_t y = oy * win.strides[0] - win.pads[0] + k / kernel[1] * win.dilations[0];
      const std::int64_t z = ox * win.strides[1] - win.pads[1] + k % kernel[1] * win.dilations[1];
      const bool inside = y >= 0 && y < in[1] && z >= 0 && z < in[2];
      taps += with_padding ? y < in[1] + win.pads[2] && z < in[2] + win.pads[3] : inside;
      if (!inside) continue;
      const double value = x[static_cast<std::size_t>(((n * in[1] + y) * in[2] + z) * in[3] + c)];
      max = std::max(max, value);
      sum += value;
    }
    out.max.push_back(max);
    out.mean.push_back(sum / taps);
  }
  return out;
}

std::vector<AttrList> pool_cases() {
  const std::int64_t one = 1;
  return {
      {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{2, 2}}},
      {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}},
      {{"kernel_shape", Ints{3, 2}}, {"pads", Ints{2, 0, 1, 1}}, {"count_include_pad", one}},
      {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 3}}, {"ceil_mode", one}, {"pads", Ints{0, 1, 1, 1}}},
      {{"kernel_shape", Ints{3, 3}},
       {"strides", Ints{2, 2}},
       {"ceil_mode", one},
       {"count_include_pad", one},
       {"pads", Ints{1, 1, 1, 1}}},
      {{"kernel_shape", Ints{2, 3}}, {"dilations", Ints{2, 2}}, {"auto_pad", std::string("SAME_UPPER")}},
      {{"kernel_shape", Ints{4, 4}}, {"strides", Ints{3, 3}}, {"auto_pad", std::string("SAME_LOWER")}},
      {{"kernel_shape", Ints{8, 9}}},
  };
}

TEST(ops_pool_f32) {
  for (const AttrList& list : pool_cases()) {
    for (const std::int64_t channels : {1, 3, 16, 70}) {
      const Dims in{2, 8, 9, channels};
      const Floats x = random_floats(1, count(in));
      const Attrs a = attrs(list);
      const Pooled want = pool(reals(x), in, a);
      Bench bench;
      const ValueId id = bench.input(DType::f32, in, x), y = bench.output(DType::f32, want.shape);
      check_near(bench.run<float>(Op::MaxPool, {id}, {y}, a), want.max, 0);
      check_near(bench.run<float>(Op::AveragePool, {id}, {y}, a), want.mean, 1e-6);
    }
  }
}

TEST(ops_pool_u8) {
  const Quant from = quant(0.04F, 37), to = quant(0.03F, 90);
  for (const AttrList& list : pool_cases()) {
    for (const std::int64_t channels : {1, 3, 16, 70}) {
      const Dims in{2, 8, 9, channels};
      const Bytes x = random_bytes(2, count(in));
      const Attrs a = attrs(list);
      const Pooled want = pool(reals(x, from), in, a);
      Bench bench;
      const ValueId id = bench.input(DType::u8, in, x, from);
      const ValueId same = bench.output(DType::u8, want.shape, from), y = bench.output(DType::u8, want.shape, to);
      check_steps(bench.run<std::uint8_t>(Op::MaxPool, {id}, {same}, a), want.max, from);
      check_steps(bench.run<std::uint8_t>(Op::AveragePool, {id}, {y}, a), want.mean, to);
    }
  }
}

TEST(ops_pool_refuses) {
  Bench bench;
  const Attrs a = attrs({{"kernel_shape", Ints{1, 1}}});
  const ValueId x = bench.input(DType::u8, {1, 1, 1, 1}, Bytes{1}, quant(1, 0));
  const ValueId y = bench.output(DType::u8, {1, 1, 1, 1}, quant(2, 0)), f = bench.output(DType::f32, {1, 1, 1, 1});
  CHECK_THROWS(bench.run<std::uint8_t>(Op::MaxPool, {x}, {y}, a), Error, "quantized differently");
  CHECK_THROWS(bench.run<float>(Op::AveragePool, {x}, {f}, a), Error, "uint8 to float32");
}

struct Reduced {
  Dims shape;
  std::vector<double> sum, mean, max;
};

Reduced reduce(const std::vector<double>& x, const Dims& in, const Ints& axes) {
  Dims keep = in;
  for (const std::int64_t axis : axes)
    keep[static_cast<std::size_t>(axis < 0 ? axis + std::int64_t(in.size()) : axis)] = 1;
  const auto n = static_cast<std::size_t>(count(keep));
  Reduced out{keep, std::vector<double>(n), std::vector<double>(n), std::vector<double>(n, -INFINITY)};
  const Dims strides = strides_of(in), out_strides = strides_of(keep);
  for (std::size_t i = 0; i < x.size(); ++i) {
    std::int64_t to = 0;
    for (std::size_t axis = 0; axis < in.size(); ++axis) {
      if (keep[axis] > 1) to += static_cast<std::int64_t>(i) / strides[axis] % in[axis] * out_strides[axis];
    }
    out.sum[static_cast<std::size_t>(to)] += x[i];
    out.max[static_cast<std::size_t>(to)] = std::max(out.max[static_cast<std::size_t>(to)], x[i]);
  }
  for (std::size_t i = 0; i < n; ++i)
    out.mean[i] = out.sum[i] / (static_cast<double>(x.size()) / static_cast<double>(n));
  return out;
}

const std::pair<Dims, Ints> kReductions[] = {
    {{2, 7, 7, 40}, {1, 2}},
    {{2, 3, 50}, {-1}},
    {{2, 3, 50}, {2, 1}},
    {{4, 5, 6, 7}, {0, 2}},
    {{4, 5, 6, 7}, {1, 3}},
    {{3, 1, 1, 700}, {1, 2}},
    {{5}, {0}},
    {{6, 7}, {0}},
    {{1, 9, 9, 1}, {1, 2}},
    {{3, 4, 1000}, {1}},
    {{4, 5, 6, 7}, {-4, 2, 3}},
    {{1, 1}, {0, 1}},
};

TEST(ops_reduce_f32) {
  for (const auto& [in, axes] : kReductions) {
    const Floats x = random_floats(3, count(in));
    const Reduced want = reduce(reals(x), in, axes);
    Bench bench;
    const ValueId id = bench.input(DType::f32, in, x), y = bench.output(DType::f32, want.shape);
    const Attrs a = attrs({{"axes", axes}});
    check_near(bench.run<float>(Op::ReduceSum, {id}, {y}, a), want.sum, 1e-5);
    check_near(bench.run<float>(Op::ReduceMean, {id}, {y}, a), want.mean, 1e-6);
    check_near(bench.run<float>(Op::ReduceMax, {id}, {y}, a), want.max, 0);
  }
}

TEST(ops_reduce_u8) {
  const Quant from = quant(0.04F, 37), to = quant(0.05F, 90), wide = quant(3, 120);
  for (const auto& [in, axes] : kReductions) {
    const Bytes x = random_bytes(4, count(in));
    const Reduced want = reduce(reals(x, from), in, axes);
    Bench bench;
    const ValueId id = bench.input(DType::u8, in, x, from);
    const ValueId y = bench.output(DType::u8, want.shape, to), sum = bench.output(DType::u8, want.shape, wide);
    const Attrs a = attrs({{"axes", axes}});
    check_steps(bench.run<std::uint8_t>(Op::ReduceSum, {id}, {sum}, a), want.sum, wide);
    check_steps(bench.run<std::uint8_t>(Op::ReduceMean, {id}, {y}, a), want.mean, to);
    check_steps(bench.run<std::uint8_t>(Op::ReduceMax, {id}, {y}, a), want.max, to);
  }
}

TEST(ops_reduce_integers_and_defaults) {
  Bench bench;
  const ValueId x = bench.input(DType::i64, {2, 3}, Ints{1, -2, 4, 7, -9, 1});
  const ValueId one = bench.output(DType::i64, {}), rows = bench.output(DType::i64, {2});
  const ValueId columns = bench.output(DType::i64, {3}), same = bench.output(DType::i64, {2, 3});
  CHECK_EQ(bench.run<std::int64_t>(Op::ReduceSum, {x}, {one}), Ints{2});
  CHECK_EQ(bench.run<std::int64_t>(Op::ReduceMax, {x}, {rows}, attrs({{"axes", Ints{1}}})), (Ints{4, 7}));
  CHECK_EQ(bench.run<std::int64_t>(Op::ReduceMean, {x}, {columns}, attrs({{"axes", Ints{0}}})), (Ints{4, -5, 2}));
  const Attrs noop = attrs({{"noop_with_empty_axes", std::int64_t{1}}});
  CHECK_EQ(bench.run<std::int64_t>(Op::ReduceSum, {x}, {same}, noop), (Ints{1, -2, 4, 7, -9, 1}));
}

std::vector<double> softmax(const std::vector<double>& x, const Dims& in, std::size_t axis) {
  std::vector<double> out(x.size());
  const auto n = static_cast<std::size_t>(in[axis]), inner = static_cast<std::size_t>(strides_of(in)[axis]);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t first = i / (n * inner) * n * inner + i % inner;
    double max = -INFINITY, sum = 0;
    for (std::size_t k = 0; k < n; ++k) max = std::max(max, x[first + k * inner]);
    for (std::size_t k = 0; k < n; ++k) sum += std::exp(x[first + k * inner] - max);
    out[i] = std::exp(x[i] - max) / sum;
  }
  return out;
}

TEST(ops_softmax) {
  const Quant from = quant(0.05F, 128), to = quant(1.0F / 256, 0);
  for (const Dims& in : {Dims{3, 1000}, Dims{2, 5, 37}, Dims{2, 3, 4, 5}, Dims{7}}) {
    for (std::size_t axis = 0; axis < in.size(); ++axis) {
      const Floats x = random_floats(5, count(in));
      const Bytes b = random_bytes(6, count(in));
      Bench bench;
      const ValueId f = bench.input(DType::f32, in, x), q = bench.input(DType::u8, in, b, from);
      const ValueId y = bench.output(DType::f32, in), z = bench.output(DType::u8, in, to);
      const Attrs a = attrs({{"axis", static_cast<std::int64_t>(axis)}});
      const auto of_floats = softmax(reals(x), in, axis), of_bytes = softmax(reals(b, from), in, axis);
      check_near(bench.run<float>(Op::Softmax, {f}, {y}, a), of_floats, 1e-6);
      check_near(bench.run<float>(Op::Softmax, {q}, {y}, a), of_bytes, 1e-6);
      check_steps(bench.run<std::uint8_t>(Op::Softmax, {q}, {z}, a), of_bytes, to);
      check_steps(bench.run<std::uint8_t>(Op::Softmax, {f}, {z}, a), of_floats, to);
    }
  }
}

Floats resized(const Dims& in, const Floats& x, const Floats& scales, const AttrList& list) {
  Bench bench;
  const ValueId id = bench.input(DType::f32, in, x);
  const ValueId s = bench.constant(DType::f32, {static_cast<std::int64_t>(scales.size())}, scales);
  const ValueId y = bench.output(DType::f32, resize_output(in, attrs(list), scales, std::nullopt));
  return bench.run<float>(Op::Resize, {id, kNone, s}, {y}, attrs(list));
}

// Expectations from ONNX's own node tests.
TEST(ops_resize_as_in_the_standard) {
  const Floats four{1, 2, 3, 4};
  const std::string linear = "linear", cubic = "cubic", nearest = "nearest";
  check_near(resized({1, 2, 2, 1}, four, {1, 2, 3, 1}, {{"mode", nearest}}),
             {1, 1, 1, 2, 2, 2, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 3, 3, 3, 4, 4, 4}, 0);
  check_near(resized({1, 2, 2, 1}, four, {1, 2, 2, 1}, {{"mode", linear}}),
             {1, 1.25, 1.75, 2, 1.5, 1.75, 2.25, 2.5, 2.5, 2.75, 3.25, 3.5, 3, 3.25, 3.75, 4}, 1e-6);
  check_near(resized({1, 2, 2, 1}, four, {1, 2, 2, 1},
                     {{"mode", linear}, {"coordinate_transformation_mode", std::string("align_corners")}}),
             {1, 1.33333333, 1.66666667, 2, 1.66666667, 2, 2.33333333, 2.66666667, 2.33333333, 2.66666667, 3,
              3.33333333, 3, 3.33333333, 3.66666667, 4},
             1e-6);
  const Floats eight{1, 2, 3, 4, 5, 6, 7, 8};
  check_near(resized({1, 2, 4, 1}, eight, {1, 0.6F, 0.6F, 1}, {{"mode", linear}}), {2.6666665, 4.3333331}, 1e-6);
  check_near(resized({1, 2, 4, 1}, eight, {1, 0.6F, 0.6F, 1}, {{"mode", nearest}}), {1, 3}, 0);
  Floats sixteen(16);
  std::iota(sixteen.begin(), sixteen.end(), 1.0F);
  check_near(
      resized({1, 4, 4, 1}, sixteen, {1, 0.8F, 0.8F, 1}, {{"mode", cubic}}),
      {1.47119141, 2.78125, 4.08251953, 6.71142578, 8.02148438, 9.32275391, 11.91650391, 13.2265625, 14.52783203},
      1e-5);
  check_near(resized({1, 4, 4, 1}, sixteen, {1, 0.8F, 0.8F, 1},
                     {{"mode", cubic}, {"cubic_coeff_a", -0.5}, {"exclude_outside", std::int64_t{1}}}),
             {1.36812675, 2.6695014, 4.0133367, 6.57362535, 7.875, 9.2188353, 11.94896657, 13.25034122, 14.59417652},
             1e-5);
}

// Interpolation is separable and the same in each channel, so [N, H, W, C] must agree with its channels one by one.
TEST(ops_resize_channels_and_bytes) {
  const Quant from = quant(0.04F, 37), to = quant(0.05F, 90);
  const Dims in{2, 5, 6, 19};
  for (const char* mode : {"nearest", "linear", "cubic"}) {
    for (const char* coordinates : {"half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"}) {
      const AttrList list{{"mode", std::string(mode)}, {"coordinate_transformation_mode", std::string(coordinates)}};
      const Bytes b = random_bytes(7, count(in));
      const auto real = reals(b, from);
      const Floats x(real.begin(), real.end());
      const Floats scales{1, 1.7F, 0.6F, 1};
      const Floats whole = resized(in, x, scales, list);
      const Dims out = resize_output(in, {}, scales, std::nullopt);
      for (std::size_t c = 0; c < 19; c += 6) {
        Floats channel, want;
        for (std::size_t i = c; i < x.size(); i += 19) channel.push_back(x[i]);
        for (std::size_t i = c; i < whole.size(); i += 19) want.push_back(whole[i]);
        CHECK_EQ(resized({2, 5, 6, 1}, channel, scales, list), want);
        CHECK_EQ(resized({2, 5, 6}, channel, {1, 1.7F, 0.6F}, list), want);
      }
      Bench bench;
      const ValueId id = bench.input(DType::u8, in, b, from), s = bench.constant(DType::f32, {4}, scales);
      const ValueId y = bench.output(DType::u8, out, to);
      check_steps(bench.run<std::uint8_t>(Op::Resize, {id, kNone, s}, {y}, attrs(list)), reals(whole), to);
    }
  }
}

TEST(ops_resize_refuses) {
  const Floats x{1, 2, 3, 4};
  CHECK_THROWS(
      resized({1, 2, 2, 1}, x, {1, 2, 2, 1}, {{"coordinate_transformation_mode", std::string("tf_crop_and_resize")}}),
      Error, "tf_crop_and_resize");
  CHECK_THROWS(
      resized({1, 2, 2, 1}, x, {1, 0.5F, 1, 1}, {{"mode", std::string("linear")}, {"antialias", std::int64_t{1}}}),
      Error, "antialias");
  CHECK_THROWS(resized({1, 2, 2, 1}, x, {1, 2, 1, 2}, {}), Error, "two neighbouring ones");
}

}  // namespace
