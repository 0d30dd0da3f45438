// Every depthwise convolution against the scalar definition, to the bit, and the definition against the textbook.
#include <cmath>

#include "cpp/check.h"
#include "cpp/kernels_case.h"
#include "kernels/depthwise/depthwise_f32.h"
#include "kernels/depthwise/depthwise_u8.h"
#include "reference/products.h"

namespace {

using namespace quaver::kernels;
using kernel_case::Guarded;
using kernel_case::Random;

struct Shape {
  std::size_t pixels, channels, taps;
};

std::ostream& operator<<(std::ostream& out, const Shape& s) {
  return out << "pixels=" << s.pixels << " channels=" << s.channels << " taps=" << s.taps;
}

// Of u8: how the pixels' windows lie in the columns.
struct WindowU8 {
  std::size_t pixels, channels, rows, columns, step, dilation, outputs = 1;
  std::size_t seen() const { return (pixels - 1) * step + (columns - 1) * dilation + 1; }
};

std::ostream& operator<<(std::ostream& out, const WindowU8& s) {
  return out << "pixels=" << s.pixels << " channels=" << s.channels << " window=" << s.rows << "x" << s.columns
             << " step=" << s.step << " dilation=" << s.dilation << " outputs=" << s.outputs;
}

std::size_t padded(std::size_t channels) { return (channels + kDepthwisePad - 1) / kDepthwisePad * kDepthwisePad; }

// Offsets into 5 rows, `stride` bytes apart, with some padding.
void fill_offsets(const Guarded<std::int32_t>& offsets, std::size_t stride, Random& random) {
  for (std::int32_t& offset : offsets) {
    offset = random.integer(0, 4) ? random.integer(0, 4) * static_cast<std::int32_t>(stride) : kPad;
  }
  offsets[0] = kPad;
  offsets[offsets.size() - 1] = static_cast<std::int32_t>(4 * stride);
}

// Every operand of one call, each ending at an unmapped page.
struct ProblemU8 {
  WindowU8 shape;
  Guarded<std::uint8_t> a, pad, residual;
  Guarded<std::int32_t> offsets, bias;
  Guarded<std::int8_t> w, packed;
  Guarded<float> scale;
  DepthwiseU8Args args;

  ProblemU8(WindowU8 s, std::size_t gap, Random& random, Output output = Output::u8)
      : shape(s),
        a(4 * (s.channels + gap) + s.channels),
        pad(s.channels),
        residual((s.outputs * s.pixels - 1) * (s.channels + gap) + s.channels),
        offsets(s.seen() * s.rows),
        bias(padded(s.channels)),
        w(s.outputs * s.rows * s.columns * s.channels),
        packed(s.outputs * packed_size_depthwise_u8(s.channels, s.rows, s.columns)),
        scale(padded(s.channels)) {
    random.fill(pad, 0, 255);
    random.fill(residual, 0, 255);
    fill_offsets(offsets, s.channels + gap, random);
    for (std::size_t c = 0; c < s.channels; ++c) {
      bias[c] = random.integer(-9000, 9000);
      scale[c] = random.coin() ? random.real(-0.001F, 0.02F) : 1.0F / static_cast<float>(1 << random.integer(3, 9));
    }
    args.pixels = s.pixels, args.channels = s.channels;
    args.rows = s.rows, args.columns = s.columns, args.step = s.step, args.dilation = s.dilation;
    args.outputs = s.outputs, args.c_apart = s.pixels * (s.channels + gap);
    args.a = a.data(), args.offsets = offsets.data(), args.pad = pad.data(), args.w = packed.data();
    args.bias = bias.data(), args.scale = scale.data(), args.r_stride = s.channels + gap;
    args.zero = random.integer(0, 255);
    args.lo = static_cast<float>(random.coin() ? 0 : -args.zero), args.hi = static_cast<float>(255 - args.zero);
    if (random.coin()) args.pre_lo = 0, args.pre_hi = random.real(1, 200);
    if (random.coin()) args.r = residual.data();
    args.r_zero = random.integer(0, 255), args.r_scale = random.real(0.01F, 2);
    if (output == Output::f32) in_floats(random);
    values(random, 0, 255, -128, 127);
  }

  void in_floats(Random& random) {
    args.output = Output::f32;
    args.c_apart = shape.pixels * args.r_stride * sizeof(float);
    args.r = nullptr;
    args.lo = random.coin() ? -__builtin_inff() : random.real(-9, 0);
    args.hi = random.coin() ? __builtin_inff() : random.real(0, 9);
  }

  void values(Random& random, int a_lo, int a_hi, int w_lo, int w_hi) {
    random.fill(a, a_lo, a_hi);
    random.fill(w, w_lo, w_hi);
    const std::size_t size = w.size() / shape.outputs, packed_size = packed.size() / shape.outputs;
    for (std::size_t o = 0; o < shape.outputs; ++o) {
      pack_depthwise_u8(shape.channels, shape.rows, shape.columns, w.data() + o * size,
                        packed.data() + o * packed_size);
    }
  }
};

struct ProblemF32 {
  Shape shape;
  Guarded<float> a, pad, residual, bias, w;
  Guarded<std::int32_t> offsets;
  DepthwiseF32Args args;

  ProblemF32(Shape s, std::size_t gap, Random& random)
      : shape(s),
        a(4 * (s.channels + gap) + s.channels),
        pad(s.channels),
        residual((s.pixels - 1) * (s.channels + gap) + s.channels),
        bias(s.channels),
        w(s.taps * s.channels),
        offsets(s.pixels * s.taps) {
    for (auto* items : {&a, &residual, &bias, &w}) {
      for (float& item : *items) item = random.real(-2, 2);
    }
    const std::size_t stride = (s.channels + gap) * sizeof(float);
    fill_offsets(offsets, stride, random);
    args.pixels = s.pixels, args.channels = s.channels, args.taps = s.taps;
    args.a = a.data(), args.offsets = offsets.data(), args.pad = pad.data(), args.w = w.data();
    args.bias = bias.data(), args.r_stride = stride;
    if (random.coin()) args.pre_lo = 0, args.pre_hi = 6;
    if (random.coin()) args.lo = 0, args.hi = random.real(1, 20);
    if (random.coin()) args.r = residual.data();
  }
};

// What is written, rows with `gap` canaries between them, none after the last.
template <class T, class Kernel, class Args>
std::vector<T> result(const Kernel& kernel, Args args, std::size_t gap) {
  args.c_stride = (args.channels + gap) * sizeof(T);
  std::size_t pixels = args.pixels;
  if constexpr (requires { args.outputs; }) pixels *= args.outputs;
  Guarded<T> c((pixels - 1) * (args.channels + gap) + args.channels);
  std::memset(c.data(), 0x45, c.bytes());
  args.c = c.data();
  if constexpr (requires { args.bounded; }) args.bounded = args.lanes || is_bounded(args);
  kernel.run(args);
  return {c.begin(), c.end()};
}

bool takes_lanes(const DepthwiseU8Kernel& kernel, const DepthwiseU8Args& g) {
  return kernel.lanes && fits_lanes(g.rows, g.columns, g.step, g.dilation) && g.outputs == 1 && is_bounded(g) && !g.r;
}

// As an operator lays weights out for a kernel that takes them so.
template <class T>
std::vector<T> result_in_lanes(const DepthwiseU8Kernel& kernel, const ProblemU8& problem, std::size_t gap) {
  DepthwiseU8Args args = problem.args;
  const std::size_t values = lane_values(args.channels);
  Guarded<std::int8_t> packed(packed_size_lanes(args.channels, args.rows));
  Guarded<std::int32_t> bias(values);
  Guarded<float> scale(values);
  pack_lanes(args.channels, args.rows, args.step, problem.w.data(), packed.data());
  for (std::size_t n = 0; n < values; ++n) {
    const std::size_t c = lane_channel(args.channels, n);
    bias[n] = c < args.channels ? args.bias[c] : 0, scale[n] = c < args.channels ? args.scale[c] : 0;
  }
  args.w = packed.data(), args.bias = bias.data(), args.scale = scale.data(), args.lanes = true;
  return result<T>(kernel, args, gap);
}

template <class T>
std::vector<T> result_of(const DepthwiseU8Kernel& kernel, const ProblemU8& problem, std::size_t gap) {
  if (takes_lanes(kernel, problem.args)) return result_in_lanes<T>(kernel, problem, gap);
  return result<T>(kernel, problem.args, gap);
}
template <class T>
std::vector<T> result_of(const DepthwiseF32Kernel& kernel, const ProblemF32& problem, std::size_t gap) {
  return result<T>(kernel, problem.args, gap);
}

template <class T, class Kernel, class Problem>
void compare(const Kernel& kernel, const Kernel& definition, const Problem& problem, std::size_t gap) {
  const auto got = result_of<T>(kernel, problem, gap), expected = result_of<T>(definition, problem, gap);
  if (!std::memcmp(got.data(), expected.data(), got.size() * sizeof(T))) return;
  check::failed(__FILE__, __LINE__,
                check::show(kernel.name) + " differs from the definition, " + check::show(problem.shape));
}

std::vector<Shape> shapes() {
  std::vector<Shape> out;
  for (const std::size_t pixels : {1, 2, 3, 4, 5, 9}) {
    for (const std::size_t channels : {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 129}) {
      for (const std::size_t taps : {1, 2, 3, 4, 5, 8, 9, 25, 49}) out.push_back({pixels, channels, taps});
    }
  }
  // At and past the number of taps whose rows a kernel keeps.
  for (const std::size_t taps : {127, 128, 129, 225}) out.push_back({3, 17, taps});
  return out;
}

constexpr std::size_t kChannels[] = {1, 7, 8, 9, 15, 16, 17, 24, 31, 32, 33, 47, 63, 64, 65, 129};

std::vector<WindowU8> windows() {
  std::vector<WindowU8> out;
  // The sides and steps with code of their own, each off by one, dilated.
  for (const std::size_t pixels : {1, 3, 4, 5, 7, 9}) {
    for (const std::size_t channels : kChannels) {
      for (const std::size_t side : {3, 5}) {
        for (const std::size_t step : {1, 2, 3}) out.push_back({pixels, channels, side, side, step, 1});
        for (const std::size_t step : {1, 2}) out.push_back({pixels + 13, channels, side, side, step, 1});
      }
      // As many rows of outputs as share the columns, fewer, and one more.
      for (const std::size_t outputs : {1, 2, 3}) out.push_back({pixels, channels, 4, 3, 1, 1, outputs});
      for (const std::size_t outputs : {1, 3, 4}) out.push_back({pixels, channels, 8, 5, 1, 1, outputs});
      for (const std::size_t outputs : {1, 2}) out.push_back({pixels, channels, 7, 5, 2, 1, outputs});
      out.push_back({pixels, channels, 3, 3, 1, 2, 2});
      out.push_back({pixels, channels, 3, 3, 1, 2});
      out.push_back({pixels, channels, 5, 5, 2, 3});
    }
  }
  for (const std::size_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 9}) {
    for (const std::size_t columns : {1, 2, 3, 5, 7}) {
      for (const std::size_t channels : {8, 33, 65}) out.push_back({5, channels, rows, columns, 1 + rows % 2, 1});
    }
  }
  // More pixels than one run takes; columns, taps and weights as many as it takes, and more.
  for (const std::size_t pixels : {31, 32, 33, 70, 113}) {
    for (const std::size_t step : {1, 2}) {
      for (const std::size_t side : {3, 5, 7}) out.push_back({pixels, 33, side, side, step, 1});
      for (const std::size_t side : {3, 5}) out.push_back({pixels, 33, side == 3 ? 4U : 8U, side, step, 1, 2});
    }
  }
  for (const std::size_t rows : {127, 128, 129, 512, 513}) out.push_back({3, 17, rows, 1, 1, 1});
  for (const std::size_t columns : {42, 43, 64, 65, 128, 129}) out.push_back({3, 17, 9, columns, 1, 1});
  for (const std::size_t dilation : {63, 64, 94, 95, 96, 200}) out.push_back({3, 17, 3, 3, 2, dilation});
  for (const std::size_t step : {100, 191, 192, 193}) out.push_back({3, 17, 3, 3, step, 1});
  return out;
}

const DepthwiseU8Kernel& definition_u8() { return *depthwise_u8_kernels().items[0]; }
const DepthwiseF32Kernel& definition_f32() { return *depthwise_f32_kernels().items[0]; }

template <class Row, class T>
auto rows_of(const Row& offsets, const T* a, const T* pad, std::size_t taps) {
  return [&offsets, a, pad, taps](std::size_t i, std::size_t t) {
    const std::int32_t offset = offsets[i * taps + t];
    return offset == kPad ? pad : a + offset / static_cast<std::int32_t>(sizeof(T));
  };
}

// What the table of columns says that tap t of pixel i is.
auto rows_of(const ProblemU8& problem) {
  return [&problem](std::size_t i, std::size_t t) {
    const DepthwiseU8Args& g = problem.args;
    const std::size_t column = i * g.step + t % g.columns * g.dilation;
    const std::int32_t offset = problem.offsets[column * g.rows + t / g.columns];
    return offset == kPad ? g.pad : g.a + offset;
  };
}

TEST(kernels_depthwise_u8_definition_is_the_textbook) {
  std::cout << "seed " << kernel_case::seed() << "\n";
  Random random(kernel_case::seed());
  for (const WindowU8& window : {WindowU8{3, 17, 1, 1, 1, 1}, WindowU8{3, 17, 3, 3, 1, 1}, WindowU8{4, 17, 2, 5, 2, 1},
                                 WindowU8{3, 17, 5, 2, 1, 3}, WindowU8{3, 17, 7, 6, 3, 2}, WindowU8{3, 17, 29, 1, 1, 1},
                                 WindowU8{3, 17, 4, 3, 1, 1, 2}}) {
    constexpr std::size_t kGap = 2;
    const ProblemU8 problem(window, kGap, random);
    const DepthwiseU8Args& g = problem.args;
    const std::size_t taps = g.rows * g.columns;
    const auto got = result<std::uint8_t>(definition_u8(), g, kGap);
    const auto row = rows_of(problem);
    for (std::size_t n = 0; n < g.outputs * g.pixels * g.channels; ++n) {
      const std::size_t o = n / g.channels / g.pixels, i = n / g.channels % g.pixels, c = n % g.channels;
      const std::int8_t* w = problem.w.data() + o * taps * g.channels;
      const auto sum = reference::depthwise<std::int64_t>(row, w, i, c, taps, g.channels) + g.bias[c];
      const std::uint8_t* residual = g.r ? g.r + o * g.c_apart + i * g.r_stride + c : nullptr;
      const float y = reference::requantize(g, static_cast<std::int32_t>(sum), g.scale[c], residual);
      CHECK_EQ(int{got[o * g.c_apart + i * (g.channels + kGap) + c]}, int{reference::to_byte(g, y)});
    }
  }
}

TEST(kernels_depthwise_u8_floats_are_the_textbook) {
  Random random(kernel_case::seed());
  for (const WindowU8& window : {WindowU8{3, 17, 3, 3, 1, 1}, WindowU8{3, 17, 4, 3, 1, 1, 2}}) {
    constexpr std::size_t kGap = 2;
    const ProblemU8 problem(window, kGap, random, Output::f32);
    const DepthwiseU8Args& g = problem.args;
    const std::size_t taps = g.rows * g.columns;
    const auto got = result<float>(definition_u8(), g, kGap);
    const auto row = rows_of(problem);
    for (std::size_t n = 0; n < g.outputs * g.pixels * g.channels; ++n) {
      const std::size_t o = n / g.channels / g.pixels, i = n / g.channels % g.pixels, c = n % g.channels;
      const std::int8_t* w = problem.w.data() + o * taps * g.channels;
      const auto sum = reference::depthwise<std::int64_t>(row, w, i, c, taps, g.channels) + g.bias[c];
      const std::size_t at = o * g.c_apart / sizeof(float) + i * (g.channels + kGap) + c;
      CHECK_EQ(got[at], reference::requantize(g, static_cast<std::int32_t>(sum), g.scale[c], nullptr));
    }
  }
}

TEST(kernels_depthwise_f32_definition_is_the_textbook) {
  Random random(kernel_case::seed());
  for (int round = 0; round < 8; ++round) {
    const ProblemF32 problem({3, 17, static_cast<std::size_t>(1 + 4 * round)}, 2, random);
    const DepthwiseF32Args& g = problem.args;
    const auto got = result<float>(definition_f32(), g, 0);
    const auto row = rows_of(problem.offsets, g.a, g.pad, g.taps);
    for (std::size_t i = 0; i < g.pixels; ++i) {
      for (std::size_t c = 0; c < g.channels; ++c) {
        double y = reference::depthwise<double>(row, problem.w.data(), i, c, g.taps, g.channels) + g.bias[c];
        y = std::fmin(std::fmax(y, g.pre_lo), g.pre_hi);
        if (g.r) y += g.r[i * g.r_stride / sizeof(float) + c];
        CHECK(std::fabs(std::fmin(std::fmax(y, g.lo), g.hi) - got[i * g.channels + c]) < 1e-4);
      }
    }
  }
}

TEST(kernels_depthwise_u8_equals_the_definition) {
  std::cout << "seed " << kernel_case::seed() << "\n";
  for (const DepthwiseU8Kernel* kernel : kernel_case::candidates(depthwise_u8_kernels())) {
    Random random(kernel_case::seed());
    std::size_t count = 0;
    for (const WindowU8& shape : windows()) {
      const std::size_t gap = count++ % 3;
      compare<std::uint8_t>(*kernel, definition_u8(), ProblemU8(shape, gap, random), gap);
      compare<float>(*kernel, definition_u8(), ProblemU8(shape, gap, random, Output::f32), gap);
    }
    std::cout << kernel->name << ": " << count << " shapes\n";
  }
}

TEST(kernels_depthwise_u8_extremes_are_exact) {
  constexpr int kValues[][4] = {
      {255, 255, -128, -128}, {255, 255, 127, 127}, {128, 128, -128, -128}, {0, 0, -128, 127}};
  for (const DepthwiseU8Kernel* kernel : kernel_case::candidates(depthwise_u8_kernels())) {
    Random random(kernel_case::seed());
    for (const auto& [a_lo, a_hi, w_lo, w_hi] : kValues) {
      for (const std::size_t side : {1, 2, 3, 4, 5}) {
        ProblemU8 problem({5, 65, side, side, 1, 1}, 0, random);
        problem.values(random, a_lo, a_hi, w_lo, w_hi);
        for (float& scale : problem.scale) scale = 1.0F / 32768;  // keeps every sum of these in range
        compare<std::uint8_t>(*kernel, definition_u8(), problem, 0);
      }
    }
  }
}

TEST(kernels_depthwise_u8_scales_that_lead_outside) {
  for (const DepthwiseU8Kernel* kernel : kernel_case::candidates(depthwise_u8_kernels())) {
    Random random(kernel_case::seed());
    for (const float large : {0.5F, 0.999F, 1.0F, 3.0F, 1e4F, 1e6F}) {
      ProblemU8 problem({5, 65, 3, 3, 1, 1}, 0, random);
      problem.scale[random.integer(0, 64)] = large;
      compare<std::uint8_t>(*kernel, definition_u8(), problem, 0);
      for (std::int32_t& bias : problem.bias) bias = random.coin() ? INT32_MAX - 600000 : INT32_MIN + 600000;
      compare<std::uint8_t>(*kernel, definition_u8(), problem, 0);
    }
  }
}

TEST(kernels_depthwise_u8_output_may_be_its_residual) {
  for (const DepthwiseU8Kernel* kernel : kernel_case::candidates(depthwise_u8_kernels())) {
    Random random(kernel_case::seed());
    ProblemU8 problem({5, 69, 3, 3, 1, 1}, 0, random);
    problem.args.r = problem.residual.data();
    const auto expected = result<std::uint8_t>(*kernel, problem.args, 0);
    problem.args.c = problem.residual.data(), problem.args.c_stride = problem.args.r_stride;
    kernel->run(problem.args);
    CHECK(!std::memcmp(problem.residual.data(), expected.data(), expected.size()));
  }
}

TEST(kernels_depthwise_f32_equals_the_definition) {
  for (const DepthwiseF32Kernel* kernel : kernel_case::candidates(depthwise_f32_kernels())) {
    Random random(kernel_case::seed());
    std::size_t count = 0;
    for (const Shape& shape : shapes()) {
      const std::size_t gap = count++ % 3;
      compare<float>(*kernel, definition_f32(), ProblemF32(shape, gap, random), gap);
    }
    std::cout << kernel->name << ": " << count << " shapes\n";
  }
}

TEST(kernels_depthwise_selection) {
  for (std::size_t i = 0; i < depthwise_u8_kernels().size; ++i) {
    const DepthwiseU8Kernel& kernel = *depthwise_u8_kernels().items[i];
    const quaver::IsaSet only{1U | 1U << static_cast<int>(kernel.isa)};
    CHECK_EQ(std::string(pick_depthwise_u8(only).name), std::string(kernel.name));
  }
  for (std::size_t i = 0; i < depthwise_f32_kernels().size; ++i) {
    const DepthwiseF32Kernel& kernel = *depthwise_f32_kernels().items[i];
    const quaver::IsaSet only{1U | 1U << static_cast<int>(kernel.isa)};
    CHECK_EQ(std::string(pick_depthwise_f32(only).name), std::string(kernel.name));
  }
}

}  // namespace
