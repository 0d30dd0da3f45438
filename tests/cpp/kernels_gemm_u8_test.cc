// Every u8 product against the scalar definition, to the bit, and the definition against the textbook.
#include "cpp/check.h"
#include "cpp/kernels_case.h"
#include "kernels/gemm/gemm_u8.h"
#include "reference/products.h"

namespace {

using namespace quaver::kernels;
using kernel_case::Guarded;
using kernel_case::Random;

constexpr std::uint8_t kCanary = 0xA5;
constexpr std::size_t kPanel = 16;

struct Shape {
  std::size_t m, n, k, taps;
  bool convolution;
};

std::ostream& operator<<(std::ostream& out, const Shape& s) {
  return out << "m=" << s.m << " n=" << s.n << " k=" << s.k << " taps=" << s.taps << (s.convolution ? " conv" : "");
}

std::size_t padded(std::size_t n) { return (n + kPanel - 1) / kPanel * kPanel; }

// Every operand of one call, each ending at an unmapped page.
struct Problem {
  Shape shape;
  Guarded<std::uint8_t> a, pad, residual;
  Guarded<std::int32_t> offsets, bias, row_sum, col_zero;
  Guarded<std::int8_t> w, packed;
  Guarded<float> scale, shift;
  GemmU8Args args;

  Problem(Shape s, std::size_t gap, Random& random)
      : shape(s),
        a((s.m - 1) * (s.k + gap) + s.k),
        pad(s.k),
        residual(s.m * (s.n + gap)),
        offsets(s.m * s.taps),
        bias(padded(s.n)),
        row_sum(s.m),
        col_zero(padded(s.n)),
        w(s.n * s.taps * s.k),
        packed(packed_size({}, s.n, s.taps, s.k)),
        scale(padded(s.n)),
        shift(padded(s.n)) {
    args.m = s.m, args.n = s.n, args.k = s.k, args.taps = s.taps;
    args.a = a.data(), args.a_stride = s.k + gap, args.pad = pad.data();
    args.w = packed.data(), args.bias = bias.data(), args.scale = scale.data();
    args.r_stride = s.n + gap;
    if (s.convolution) args.offsets = offsets.data();
    random.fill(residual, 0, 255);
    random.fill(pad, 0, 255);
    for (std::int32_t& offset : offsets) {
      const auto row = static_cast<std::int32_t>(static_cast<std::size_t>(random.integer(0, s.m - 1)) * args.a_stride);
      offset = random.integer(0, 4) ? row : kPad;
    }
    if (s.convolution)
      offsets[0] = kPad, offsets[s.m * s.taps - 1] = static_cast<std::int32_t>((s.m - 1) * args.a_stride);
    values(random, 0, 255, -128, 127);
    epilogue(random);
  }

  void values(Random& random, int a_lo, int a_hi, int w_lo, int w_hi) {
    random.fill(a, a_lo, a_hi);
    random.fill(w, w_lo, w_hi);
    pack_gemm_u8({}, shape.n, shape.taps, shape.k, w.data(), packed.data());
  }

  void epilogue(Random& random) {
    const float spread = 1.0F / (74 * 74 * __builtin_sqrtf(static_cast<float>(shape.k * shape.taps)));
    for (std::size_t j = 0; j < padded(shape.n); ++j) {
      bias[j] = j < shape.n ? random.integer(-20000, 20000) : 0;
      col_zero[j] = j < shape.n ? random.integer(-128, 127) : 0;
      // Powers of two give ties; the rest spreads over the range and past it.
      const float scale_j =
          random.coin() ? spread * random.real(-40, 400) : 1.0F / static_cast<float>(1 << random.integer(3, 12));
      scale[j] = j < shape.n ? scale_j : 0;
      shift[j] = j < shape.n ? random.real(-100, 100) : 0;
    }
    random.fill(row_sum, 0, 255 * static_cast<int>(shape.k));
    args.zero = random.integer(0, 255);
    args.lo = static_cast<float>(random.coin() ? 0 : -args.zero);
    args.hi = static_cast<float>(255 - args.zero);
    if (random.coin()) args.pre_lo = 0, args.pre_hi = random.real(1, 200);
    args.r_zero = random.integer(0, 255);
    args.r_scale = random.real(0.01F, 2);
    args.r = random.coin() ? residual.data() : nullptr;
    args.shift = random.coin() ? shift.data() : nullptr;
    const bool rank_one = random.coin();
    args.row_sum = rank_one ? row_sum.data() : nullptr;
    args.col_zero = rank_one ? col_zero.data() : nullptr;
  }

  const std::uint8_t* row(std::size_t i, std::size_t t) const {
    if (!args.offsets) return a.data() + i * args.a_stride;
    return offsets[i * shape.taps + t] == kPad ? pad.data() : a.data() + offsets[i * shape.taps + t];
  }
};

// What `kernel` writes for `output`: rows with `gap` canaries between them, none after the last.
std::vector<std::uint8_t> result(const GemmU8Kernel& kernel, GemmU8Args args, Output output, std::size_t gap) {
  const std::size_t size = output == Output::u8 ? 1 : 4;
  args.output = output;
  args.c_stride = args.n * size + gap * 4;
  Guarded<std::uint8_t> c((args.m - 1) * args.c_stride + args.n * size);
  std::memset(c.data(), kCanary, c.size());
  args.c = c.data();
  kernel.run(args);
  return {c.begin(), c.end()};
}

constexpr Output kOutputs[] = {Output::u8, Output::i32, Output::f32};

void compare_output(const GemmU8Kernel& kernel, const Problem& problem, const GemmU8Args& args, Output output,
                    std::size_t gap) {
  const auto expected = result(*gemm_u8_kernels().items[0], args, output, gap);
  if (result(kernel, args, output, gap) == expected) return;
  check::failed(__FILE__, __LINE__,
                check::show(kernel.name) + " differs from the definition, output " +
                    check::show(static_cast<int>(output)) + ", " + check::show(problem.shape));
}

// In all outputs, and as reals with neither clamps nor a residual.
void compare(const GemmU8Kernel& kernel, const Problem& problem, std::size_t gap) {
  for (const Output output : kOutputs) compare_output(kernel, problem, problem.args, output, gap);
  GemmU8Args plain = problem.args;
  plain.r = nullptr, plain.row_sum = nullptr;
  plain.lo = plain.pre_lo = -__builtin_inff(), plain.hi = plain.pre_hi = __builtin_inff();
  compare_output(kernel, problem, plain, Output::f32, gap);
}

std::vector<Shape> shapes(const GemmU8Kernel& kernel) {
  std::vector<Shape> out;
  std::vector<std::size_t> columns = kernel_case::around(kernel.nr);
  columns.insert(columns.end(), {kernel.nr / 2 - 1, kernel.nr / 2, kernel.nr / 2 + 1});  // half a tile
  for (const std::size_t m : kernel_case::around(kernel.mr)) {
    for (const std::size_t n : columns) {
      for (const std::size_t k : {1, 2, 3, 4, 5, 6, 7, 8, 11, 15, 16, 17, 30, 31, 33, 67}) {
        for (const std::size_t taps : {0, 1, 3, 9}) out.push_back({m, n, k, taps ? taps : 1, taps != 0});
      }
    }
  }
  return out;
}

TEST(kernels_gemm_u8_definition_is_the_textbook) {
  std::cout << "seed " << kernel_case::seed() << "\n";
  Random random(kernel_case::seed());
  int residuals = 0;
  for (const Shape shape : {Shape{1, 1, 1, 1, false}, {3, 17, 5, 1, false}, {2, 16, 4, 9, true}, {4, 33, 7, 3, true}}) {
    for (int round = 0; round < 8; ++round) {
      const Problem problem(shape, 3, random);
      const GemmU8Args& g = problem.args;
      std::vector<std::uint8_t> got[3];
      for (const Output output : kOutputs)
        got[static_cast<int>(output)] = result(*gemm_u8_kernels().items[0], g, output, 0);
      residuals += g.r != nullptr;
      for (std::size_t i = 0; i < shape.m; ++i) {
        for (std::size_t j = 0; j < shape.n; ++j) {
          const auto row = [&](std::size_t r, std::size_t t) { return problem.row(r, t); };
          std::int64_t sum =
              g.bias[j] + reference::product<std::int64_t>(row, problem.w.data(), i, j, shape.taps, shape.k);
          if (g.row_sum) sum -= std::int64_t{g.row_sum[i]} * g.col_zero[j];
          const auto acc = static_cast<std::int32_t>(sum);
          const float y = reference::requantize(g, acc, g.scale[j], g.r ? g.r + i * g.r_stride + j : nullptr);
          const std::size_t at = i * shape.n + j;
          CHECK_EQ(reinterpret_cast<const std::int32_t*>(got[1].data())[at], acc);
          CHECK_EQ(reinterpret_cast<const float*>(got[2].data())[at], g.shift ? y + g.shift[j] : y);
          CHECK_EQ(int{got[0][at]}, int{reference::to_byte(g, y)});
        }
      }
    }
  }
  CHECK(residuals > 0 && residuals < 32);
}

TEST(kernels_gemm_u8_equals_the_definition) {
  std::cout << "seed " << kernel_case::seed() << "\n";
  for (const GemmU8Kernel* kernel : kernel_case::candidates(gemm_u8_kernels())) {
    Random random(kernel_case::seed());
    const std::vector<Shape> all = shapes(*kernel);
    for (std::size_t index = 0; index < all.size(); ++index) {
      const std::size_t gap = index % 3;
      compare(*kernel, Problem(all[index], gap, random), gap);
    }
    std::cout << kernel->name << ": " << all.size() << " shapes\n";
  }
}

// Few k, as those kernels take them that hold weights in registers: with and without a zero point, and with scales that
// leave sums without an integer.
TEST(kernels_gemm_u8_few_k) {
  for (const GemmU8Kernel* kernel : kernel_case::candidates(gemm_u8_kernels())) {
    Random random(kernel_case::seed());
    for (const std::size_t m : {15, 16, 17, 18, 19, 21, 30}) {
      for (const std::size_t n : {8, 16, 17, 31, 32, 33, 48, 56, 64, 72, 96}) {
        for (std::size_t k = 4; k <= 56; k += 4) {
          const std::size_t gap = random.coin() ? 0 : 3;
          Problem problem({m, n, k, 1, false}, gap, random);
          GemmU8Args& g = problem.args;
          g.r = nullptr, g.row_sum = g.col_zero = nullptr, g.pre_lo = -3.4e38F, g.pre_hi = 3.4e38F;
          if (random.coin()) g.zero = 0, g.lo = static_cast<float>(random.integer(0, 1)), g.hi = 255;
          if (random.coin()) g.hi = __builtin_rintf((g.lo + g.hi) / 2);
          if (random.integer(0, 7) == 0) problem.scale[n - 1] = 3e38F;
          compare(*kernel, problem, gap);
        }
      }
    }
  }
}

// Rows that lie on a grid: runs of `width`, `pitch` apart, around tiles of them.
TEST(kernels_gemm_u8_grid) {
  for (const GemmU8Kernel* kernel : kernel_case::candidates(gemm_u8_kernels())) {
    Random random(kernel_case::seed());
    for (const std::size_t width : {1, 3, 7, 14, 16, 31, 33}) {
      for (const std::size_t k : {4, 12, 32, 60, 64, 68, 128, 192}) {
        const std::size_t pitch = width + static_cast<std::size_t>(random.integer(0, 3)), taps = random.coin() ? 9 : 2;
        const auto m = static_cast<std::size_t>(random.integer(1, 80));
        const std::size_t farthest = static_cast<std::size_t>(random.integer(0, 40)), gap = random.coin() ? 0 : 4;
        const auto place = [&](std::size_t i) { return i / width * pitch + i % width; };
        for (const std::size_t n : {15, 16, 33, 64}) {
          Problem problem({place(m - 1) + farthest + 1, n, k, taps, true}, gap, random);
          GemmU8Args& g = problem.args;
          problem.shape.m = g.m = m;
          g.width = width, g.pitch = pitch;
          if (random.coin()) g.row_sum = nullptr;
          if (random.coin()) g.pre_lo = -3.4e38F, g.pre_hi = 3.4e38F;
          for (std::size_t t = 0; t < taps; ++t) {
            const std::size_t shift =
                t ? static_cast<std::size_t>(random.integer(0, static_cast<int>(farthest))) : farthest;
            for (std::size_t i = 0; i < m; ++i) {
              problem.offsets[i * taps + t] = static_cast<std::int32_t>((place(i) + shift) * g.a_stride);
            }
          }
          compare(*kernel, problem, gap);
        }
      }
    }
  }
}

TEST(kernels_gemm_u8_extremes_are_exact) {
  constexpr int kValues[][4] = {
      {255, 255, -128, -128}, {255, 255, 127, 127}, {128, 128, -128, -128}, {0, 0, -128, 127}};
  for (const GemmU8Kernel* kernel : kernel_case::candidates(gemm_u8_kernels())) {
    Random random(kernel_case::seed());
    for (const auto& [a_lo, a_hi, w_lo, w_hi] : kValues) {
      for (const std::size_t k : {1, 4, 16, 63, 512}) {
        Problem problem({kernel->mr + 1, kernel->nr + 1, k, 9, true}, 0, random);
        problem.values(random, a_lo, a_hi, w_lo, w_hi);
        compare(*kernel, problem, 0);
      }
    }
  }
}

TEST(kernels_gemm_u8_wraps_and_saturates_as_the_definition) {
  for (const GemmU8Kernel* kernel : kernel_case::candidates(gemm_u8_kernels())) {
    Random random(kernel_case::seed());
    Problem problem({kernel->mr, kernel->nr, 64, 1, false}, 0, random);
    for (std::size_t j = 0; j < problem.bias.size(); ++j) {
      problem.bias[j] = j % 2 ? INT32_MAX - 5 : INT32_MIN + 5;
      problem.scale[j] = j % 3 ? 3e38F : -3e38F;
    }
    compare(*kernel, problem, 0);
  }
}

TEST(kernels_gemm_u8_output_may_be_its_residual) {
  for (const GemmU8Kernel* kernel : kernel_case::candidates(gemm_u8_kernels())) {
    Random random(kernel_case::seed());
    Problem problem({2 * kernel->mr + 1, 2 * kernel->nr + 5, 9, 3, true}, 0, random);
    GemmU8Args& g = problem.args;
    g.r = problem.residual.data();
    const auto expected = result(*kernel, g, Output::u8, 0);
    g.c = problem.residual.data(), g.c_stride = g.r_stride;
    kernel->run(g);
    CHECK(!std::memcmp(problem.residual.data(), expected.data(), expected.size()));
  }
}

// Rows longer than what a kernel stages at once, and so many weights that columns are walked in strips.
TEST(kernels_gemm_u8_long_rows) {
  for (const GemmU8Kernel* kernel : kernel_case::candidates(gemm_u8_kernels())) {
    Random random(kernel_case::seed());
    const std::size_t m = kernel->mr + 1, n = kernel->nr + 1;
    for (const std::size_t k : {2045, 2047, 2048, 2049, 4091, 4092, 4093, 4094, 4095, 4096, 4097, 4098, 4101, 8193}) {
      compare(*kernel, Problem({m, n, k, 1, false}, 1, random), 1);
    }
    for (const std::size_t taps : {2, 3, 49}) compare(*kernel, Problem({m, n, 1367, taps, true}, 0, random), 0);
    for (const std::size_t k : {2053, 4101}) {
      compare(*kernel, Problem({m, 3 * kernel->nr + 5, k, 1, false}, 0, random), 0);
    }
    compare(*kernel, Problem({m, 5 * kernel->nr + 1, 16385, 1, false}, 0, random), 0);
  }
}

TEST(kernels_gemm_u8_selection) {
  for (std::size_t i = 0; i < gemm_u8_kernels().size; ++i) {
    const GemmU8Kernel& kernel = *gemm_u8_kernels().items[i];
    const quaver::IsaSet only{1U | 1U << static_cast<int>(kernel.isa)};
    CHECK_EQ(std::string(pick_gemm_u8(only, 64, 64, 64).name), std::string(kernel.name));
    CHECK_EQ(kernel.nr % kernel.layout.nr, std::size_t{0});
  }
  CHECK_EQ(std::string(pick_gemm_u8({}, 1, 1, 1).name), std::string("gemm_u8_scalar"));
}

}  // namespace
