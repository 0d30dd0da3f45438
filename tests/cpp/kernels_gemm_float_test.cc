// Every fp32 and bf16 product against the scalar definition, to the bit, and the definitions against the textbook.
#include <algorithm>
#include <cmath>

#include "cpp/check.h"
#include "cpp/kernels_case.h"
#include "kernels/gemm/bf16.h"
#include "kernels/gemm/gemm_bf16.h"
#include "kernels/gemm/gemm_f32.h"

namespace {

using namespace quaver::kernels;
using kernel_case::Guarded;
using kernel_case::Random;

struct F32 {
  using Element = float;
  using Kernel = GemmF32Kernel;
  static constexpr auto kernels = gemm_f32_kernels;
  static constexpr auto packed_count = packed_count_f32;
  static constexpr auto pack = pack_gemm_f32;
  static float element(float x) { return x; }
  static float value(float x) { return x; }
};

struct Bf16 {
  using Element = std::uint16_t;
  using Kernel = GemmBf16Kernel;
  static constexpr auto kernels = gemm_bf16_kernels;
  static constexpr auto packed_count = packed_count_bf16;
  static constexpr auto pack = pack_gemm_bf16;
  static std::uint16_t element(float x) { return round_bf16(x); }
  static float value(std::uint16_t x) { return from_bf16(x); }
};

struct Shape {
  std::size_t m, n, k, taps;
  bool convolution;
};

std::ostream& operator<<(std::ostream& out, const Shape& s) {
  return out << "m=" << s.m << " n=" << s.n << " k=" << s.k << " taps=" << s.taps << (s.convolution ? " conv" : "");
}

// Every operand of one call, each ending at an unmapped page; rows `gap` elements apart.
template <class Family>
struct Problem {
  using Element = typename Family::Element;
  Shape shape;
  Guarded<Element> a, pad;
  Guarded<float> residual, bias, w;
  Guarded<Element> packed;
  Guarded<std::int32_t> offsets;
  GemmFloatArgs<Element> args;

  Problem(Shape s, std::size_t gap, Random& random)
      : shape(s),
        a((s.m - 1) * (s.k + gap) + s.k),
        pad(s.k),
        residual((s.m - 1) * (s.n + gap) + s.n),
        bias(s.n),
        w(s.n * s.taps * s.k),
        packed(Family::packed_count(s.n, s.taps, s.k)),
        offsets(s.m * s.taps) {
    fill([&] { return random.real(-2, 2); });
    args.m = s.m, args.n = s.n, args.k = s.k, args.taps = s.taps;
    args.a = a.data(), args.a_stride = (s.k + gap) * sizeof(Element), args.pad = pad.data();
    args.w = packed.data(), args.bias = bias.data();
    args.r_stride = (s.n + gap) * sizeof(float);
    if (s.convolution) args.offsets = offsets.data();
    for (std::int32_t& offset : offsets) {
      const auto row = static_cast<std::int32_t>(static_cast<std::size_t>(random.integer(0, s.m - 1)) * args.a_stride);
      offset = random.integer(0, 4) ? row : kPad;
    }
    if (s.convolution)
      offsets[0] = kPad, offsets[s.m * s.taps - 1] = static_cast<std::int32_t>((s.m - 1) * args.a_stride);
    if (random.coin()) args.r = residual.data();
    if (random.coin()) args.pre_lo = 0, args.pre_hi = 6;
    if (random.coin()) args.lo = 0, args.hi = random.real(1, 20);
  }

  template <class Next>
  void fill(Next next) {
    for (Element& item : a) item = Family::element(next());
    for (auto* items : {&residual, &bias, &w}) {
      for (float& item : *items) item = next();
    }
    Family::pack(shape.n, shape.taps, shape.k, w.data(), packed.data());
  }

  double row(std::size_t i, std::size_t t, std::size_t p) const {
    const std::int32_t offset =
        args.offsets ? offsets[i * shape.taps + t] : static_cast<std::int32_t>(i * args.a_stride);
    return Family::value(offset == kPad ? pad[p] : a[static_cast<std::size_t>(offset) / sizeof(Element) + p]);
  }
};

// Words written: rows with `gap` canaries between them, none after the last. All NaNs are one.
template <class Kernel, class Args>
std::vector<std::uint32_t> result(const Kernel& kernel, Args args, std::size_t gap) {
  args.c_stride = (args.n + gap) * sizeof(float);
  Guarded<float> c((args.m - 1) * (args.n + gap) + args.n);
  std::memset(c.data(), 0xA5, c.bytes());
  args.c = c.data();
  kernel.run(args);
  std::vector<std::uint32_t> out;
  for (const float y : c) out.push_back(std::isnan(y) ? 0x7FC00000U : __builtin_bit_cast(std::uint32_t, y));
  return out;
}

template <class Family>
void compare(const typename Family::Kernel& kernel, const Problem<Family>& problem, std::size_t gap) {
  if (result(kernel, problem.args, gap) == result(*Family::kernels().items[0], problem.args, gap)) return;
  check::failed(__FILE__, __LINE__,
                check::show(kernel.name) + " differs from the definition, " + check::show(problem.shape));
}

template <class Family>
void expect_textbook() {
  std::cout << "seed " << kernel_case::seed() << "\n";
  Random random(kernel_case::seed());
  for (const Shape shape : {Shape{1, 1, 1, 1, false}, {3, 17, 5, 1, false}, {2, 16, 4, 9, true}, {4, 33, 7, 3, true}}) {
    for (int round = 0; round < 8; ++round) {
      const Problem<Family> problem(shape, 2, random);
      const auto& g = problem.args;
      const auto got = result(*Family::kernels().items[0], g, 0);
      for (std::size_t i = 0; i < shape.m; ++i) {
        for (std::size_t j = 0; j < shape.n; ++j) {
          double y = g.bias[j];
          for (std::size_t p = 0; p < shape.taps * shape.k; ++p) {
            const float w = problem.w[j * shape.taps * shape.k + p];
            y += problem.row(i, p / shape.k, p % shape.k) * Family::value(Family::element(w));
          }
          y = std::fmin(std::fmax(y, g.pre_lo), g.pre_hi);
          if (g.r) y += problem.residual[i * g.r_stride / sizeof(float) + j];
          y = std::fmin(std::fmax(y, g.lo), g.hi);
          CHECK(std::fabs(y - __builtin_bit_cast(float, got[i * shape.n + j])) < 1e-4);
        }
      }
    }
  }
}

template <class Family>
void expect_definition() {
  std::cout << "seed " << kernel_case::seed() << "\n";
  for (const auto* kernel : kernel_case::candidates(Family::kernels())) {
    Random random(kernel_case::seed());
    std::vector<std::size_t> columns = kernel_case::around(kernel->nr);
    columns.insert(columns.end(), {kernel->nr / 2 - 1, kernel->nr / 2, kernel->nr / 2 + 1});  // half a tile
    columns.insert(columns.end(), {kernel->nr / 4, kernel->nr * 3 / 4});                      // halves of vectors
    columns.push_back(4 * kernel->nr + 1);  // past a single row's tile
    std::size_t count = 0;
    for (const std::size_t m : kernel_case::around(kernel->mr)) {
      for (const std::size_t n : columns) {
        for (const std::size_t k : {1, 2, 3, 8, 17}) {
          for (const std::size_t taps : {0, 1, 9}) {
            const std::size_t gap = count++ % 3;
            compare(*kernel, Problem<Family>({m, n, k, taps ? taps : 1, taps != 0}, gap, random), gap);
          }
        }
      }
    }
    compare(*kernel, Problem<Family>({kernel->mr + 1, 3 * kernel->nr + 1, 4097, 1, false}, 0, random), 0);
    std::cout << kernel->name << ": " << count << " shapes\n";
  }
}

template <class Family>
void expect_special_values() {
  const float kValues[] = {
      0.0F, -0.0F, 1e-42F, -1e-42F, 3e38F, -3e38F, __builtin_inff(), -__builtin_inff(), __builtin_nanf(""), 1.0F};
  for (const auto* kernel : kernel_case::candidates(Family::kernels())) {
    Random random(kernel_case::seed());
    for (int round = 0; round < 50; ++round) {
      Problem<Family> problem({kernel->mr + 1, kernel->nr + 1, 2, 1, false}, 0, random);
      problem.fill([&] { return kValues[random.integer(0, 9)]; });
      compare(*kernel, problem, 0);
    }
  }
}

TEST(kernels_gemm_f32_definition_is_the_textbook) { expect_textbook<F32>(); }
TEST(kernels_gemm_f32_equals_the_definition) { expect_definition<F32>(); }
TEST(kernels_gemm_f32_special_values) { expect_special_values<F32>(); }
TEST(kernels_gemm_bf16_definition_is_the_textbook) { expect_textbook<Bf16>(); }
TEST(kernels_gemm_bf16_equals_the_definition) { expect_definition<Bf16>(); }
TEST(kernels_gemm_bf16_special_values) { expect_special_values<Bf16>(); }

TEST(kernels_gemm_f32_selection) {
  for (std::size_t i = 0; i < gemm_f32_kernels().size; ++i) {
    const GemmF32Kernel& kernel = *gemm_f32_kernels().items[i];
    const quaver::IsaSet only{1U | 1U << static_cast<int>(kernel.isa)};
    CHECK_EQ(std::string(pick_gemm_f32(only, 64, 64, 64).name), std::string(kernel.name));
  }
}

// A float of any sign and fraction whose exponent lies in [lo, hi], as stored.
float with_exponent(Random& random, int lo, int hi) {
  const auto fraction = static_cast<std::uint32_t>(random.integer(0, (1 << 23) - 1));
  const auto exponent = static_cast<std::uint32_t>(random.integer(lo, hi));
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(random.coin()) << 31 | exponent << 23 | fraction);
}

TEST(kernels_gemm_bf16_around_the_least_normal_number) {
  for (const GemmBf16Kernel* kernel : kernel_case::candidates(gemm_bf16_kernels())) {
    Random random(kernel_case::seed());
    for (int round = 0; round < 200; ++round) {
      Problem<Bf16> problem({kernel->mr, kernel->nr, 4, 1, false}, 0, random);
      const int small = random.integer(20, 100);  // products of about 2^-126
      for (auto& item : problem.a) item = round_bf16(with_exponent(random, small, small + 3));
      for (float& item : problem.w) item = with_exponent(random, 126 - small, 129 - small);
      for (auto* items : {&problem.bias, &problem.residual}) {
        for (float& item : *items) item = with_exponent(random, 0, 2);
      }
      pack_gemm_bf16(problem.shape.n, 1, 4, problem.w.data(), problem.packed.data());
      compare(*kernel, problem, 0);
    }
  }
}

// Rows of floats, which a kernel rounds by the way.
TEST(kernels_gemm_bf16_rounds_rows) {
  for (const GemmBf16Kernel* kernel : kernel_case::candidates(gemm_bf16_kernels())) {
    if (!kernel->rounds) continue;
    Random random(kernel_case::seed());
    for (const std::size_t m : kernel_case::around(kernel->mr)) {
      for (const std::size_t k : {1, 2, 15, 16, 17, 31, 32, 33, 64, 100, 383, 384, 385, 1000}) {
        const bool convolution = random.coin();
        const std::size_t n = static_cast<std::size_t>(random.integer(1, 3 * static_cast<int>(kernel->nr)));
        Problem<Bf16> problem({m, n, k, 1, convolution}, 3, random);
        Guarded<float> rows(problem.a.size()), pad(k);
        for (std::size_t i = 0; i < rows.size(); ++i) {
          rows[i] = random.integer(0, 20) ? random.real(-2, 2) : with_exponent(random, 0, 2);
          problem.a[i] = round_bf16(rows[i]);
        }
        const auto expected = result(*gemm_bf16_kernels().items[0], problem.args, 1);
        GemmBf16Args g = problem.args;
        g.a = reinterpret_cast<const std::uint16_t*>(rows.data()), g.a_is_f32 = true;
        g.pad = reinterpret_cast<const std::uint16_t*>(pad.data());
        g.a_stride *= 2;
        for (std::int32_t& offset : problem.offsets) offset = offset == kPad ? kPad : 2 * offset;
        CHECK(result(*kernel, g, 1) == expected);
      }
    }
  }
}

// Rows that lie on a grid: runs of `width`, `pitch` apart, around tiles of them.
TEST(kernels_gemm_bf16_grid) {
  for (const GemmBf16Kernel* kernel : kernel_case::candidates(gemm_bf16_kernels())) {
    if (!kernel->round_grid) continue;
    Random random(kernel_case::seed());
    for (const std::size_t width : {1, 3, 7, 14, 16, 31, 33}) {
      for (const std::size_t k : {32, 64, 160, 512}) {
        const std::size_t pitch = width + static_cast<std::size_t>(random.integer(0, 3)), taps = random.coin() ? 9 : 2;
        const auto m = static_cast<std::size_t>(random.integer(1, 80));
        const auto farthest = static_cast<std::size_t>(random.integer(0, 40));
        const auto place = [&](std::size_t i) { return i / width * pitch + i % width; };
        for (const std::size_t n : {15, 16, 33, 64}) {
          Problem<Bf16> problem({place(m - 1) + farthest + 1, n, k, taps, true}, 0, random);
          GemmBf16Args& g = problem.args;
          problem.shape.m = g.m = m;
          for (std::size_t t = 0; t < taps; ++t) {
            const std::size_t shift =
                t ? static_cast<std::size_t>(random.integer(0, static_cast<int>(farthest))) : farthest;
            for (std::size_t i = 0; i < m; ++i) {
              problem.offsets[i * taps + t] = static_cast<std::int32_t>((place(i) + shift) * g.a_stride);
            }
          }
          const auto expected = result(*gemm_bf16_kernels().items[0], g, 0);
          std::vector<float> rows(problem.a.size());
          std::transform(problem.a.begin(), problem.a.end(), rows.begin(), from_bf16);
          kernel->round_grid(rows.data(), rows.size(), problem.a.data());
          g.width = width, g.pitch = pitch;
          CHECK(result(*kernel, g, 0) == expected);
        }
      }
    }
  }
}

// Digits that are lost below the least normal number: 2^-126 less between 1/4 and 1/2 of the last denormal digit is a
// denormal as long as digits go on, and only then the nearest number with that digit is 2^-126 again.
TEST(kernels_gemm_bf16_rounds_before_it_flushes) {
  const float least = 0x1p-126F;
  CHECK_EQ(fma_flushed(0x1p-63F, 0x1p-63F, 0.0F), least);
  CHECK_EQ(fma_flushed(-0x1p-75F, 0x1p-76F, least), least);
  CHECK_EQ(fma_flushed(-0x1.02p-75F, 0x1p-76F, least), 0.0F);
  CHECK_EQ(fma_flushed(-0x1.FEp-75F, 0x1p-76F, least), 0.0F);
}

TEST(kernels_gemm_bf16_rounding) {
  const GemmBf16Kernel& definition = *gemm_bf16_kernels().items[0];
  CHECK_EQ(round_bf16(1.00390625F), round_bf16(1.0F));  // a tie, to the even one
  CHECK_EQ(round_bf16(3.4e38F), std::uint16_t{0x7F80});
  CHECK_EQ(round_bf16(-1e-42F), std::uint16_t{0x8000});
  Random random(kernel_case::seed());
  for (const GemmBf16Kernel* kernel : kernel_case::candidates(gemm_bf16_kernels())) {
    for (const std::size_t size : {1, 7, 8, 31, 32, 33, 1000}) {
      Guarded<float> x(size);
      for (float& item : x) item = with_exponent(random, 0, 255);
      Guarded<std::uint16_t> expected(size), got(size);
      definition.round(x.data(), size, expected.data());
      kernel->round(x.data(), size, got.data());
      CHECK(std::equal(got.begin(), got.end(), expected.begin()));
    }
  }
}

}  // namespace
