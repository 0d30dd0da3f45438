// Every fp32 product against the scalar definition, to the bit, and the definition against the textbook.
#include <cmath>

#include "cpp/check.h"
#include "cpp/kernels_case.h"
#include "kernels/gemm/gemm_f32.h"
#include "reference/products.h"

namespace {

using namespace quaver::kernels;
using kernel_case::Guarded;
using kernel_case::Random;

struct Shape {
  std::size_t m, n, k, taps;
  bool convolution;
};

std::ostream& operator<<(std::ostream& out, const Shape& s) {
  return out << "m=" << s.m << " n=" << s.n << " k=" << s.k << " taps=" << s.taps << (s.convolution ? " conv" : "");
}

// Every operand of one call, each ending at an unmapped page; rows `gap` floats apart.
struct Problem {
  Shape shape;
  Guarded<float> a, pad, residual, bias, w, packed;
  Guarded<std::int32_t> offsets;
  GemmF32Args args;

  Problem(Shape s, std::size_t gap, Random& random)
      : shape(s),
        a((s.m - 1) * (s.k + gap) + s.k),
        pad(s.k),
        residual((s.m - 1) * (s.n + gap) + s.n),
        bias(s.n),
        w(s.n * s.taps * s.k),
        packed(packed_count_f32(s.n, s.taps, s.k)),
        offsets(s.m * s.taps) {
    for (auto* items : {&a, &residual, &bias, &w}) {
      for (float& item : *items) item = random.real(-2, 2);
    }
    args.m = s.m, args.n = s.n, args.k = s.k, args.taps = s.taps;
    args.a = a.data(), args.a_stride = (s.k + gap) * sizeof(float), args.pad = pad.data();
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
    pack();
  }

  void pack() { pack_gemm_f32(shape.n, shape.taps, shape.k, w.data(), packed.data()); }

  const float* row(std::size_t i, std::size_t t) const {
    if (!args.offsets) return a.data() + i * args.a_stride / sizeof(float);
    const std::int32_t offset = offsets[i * shape.taps + t];
    return offset == kPad ? pad.data() : a.data() + offset / static_cast<std::int32_t>(sizeof(float));
  }
};

// Words written: rows with `gap` canaries between them, none after the last. All NaNs are one.
std::vector<std::uint32_t> result(const GemmF32Kernel& kernel, GemmF32Args args, std::size_t gap) {
  args.c_stride = (args.n + gap) * sizeof(float);
  Guarded<float> c((args.m - 1) * (args.n + gap) + args.n);
  std::memset(c.data(), 0xA5, c.bytes());
  args.c = c.data();
  kernel.run(args);
  std::vector<std::uint32_t> out;
  for (const float y : c) out.push_back(std::isnan(y) ? 0x7FC00000U : __builtin_bit_cast(std::uint32_t, y));
  return out;
}

void compare(const GemmF32Kernel& kernel, const Problem& problem, std::size_t gap) {
  if (result(kernel, problem.args, gap) == result(*gemm_f32_kernels().items[0], problem.args, gap)) return;
  check::failed(__FILE__, __LINE__,
                check::show(kernel.name) + " differs from the definition, " + check::show(problem.shape));
}

TEST(kernels_gemm_f32_definition_is_the_textbook) {
  std::cout << "seed " << kernel_case::seed() << "\n";
  Random random(kernel_case::seed());
  for (const Shape shape : {Shape{1, 1, 1, 1, false}, {3, 17, 5, 1, false}, {2, 16, 4, 9, true}, {4, 33, 7, 3, true}}) {
    for (int round = 0; round < 8; ++round) {
      const Problem problem(shape, 2, random);
      const GemmF32Args& g = problem.args;
      const auto got = result(*gemm_f32_kernels().items[0], g, 0);
      const auto row = [&](std::size_t r, std::size_t t) { return problem.row(r, t); };
      for (std::size_t i = 0; i < shape.m; ++i) {
        for (std::size_t j = 0; j < shape.n; ++j) {
          double y = g.bias[j] + reference::product<double>(row, problem.w.data(), i, j, shape.taps, shape.k);
          y = std::fmin(std::fmax(y, g.pre_lo), g.pre_hi);
          if (g.r) y += problem.residual[i * g.r_stride / sizeof(float) + j];
          y = std::fmin(std::fmax(y, g.lo), g.hi);
          CHECK(std::fabs(y - __builtin_bit_cast(float, got[i * shape.n + j])) < 1e-4);
        }
      }
    }
  }
}

TEST(kernels_gemm_f32_equals_the_definition) {
  std::cout << "seed " << kernel_case::seed() << "\n";
  for (const GemmF32Kernel* kernel : kernel_case::candidates(gemm_f32_kernels())) {
    Random random(kernel_case::seed());
    std::vector<std::size_t> columns = kernel_case::around(kernel->nr);
    columns.insert(columns.end(), {kernel->nr / 2 - 1, kernel->nr / 2, kernel->nr / 2 + 1});  // half a tile
    std::size_t count = 0;
    for (const std::size_t m : kernel_case::around(kernel->mr)) {
      for (const std::size_t n : columns) {
        for (const std::size_t k : {1, 2, 3, 8, 17}) {
          for (const std::size_t taps : {0, 1, 9}) {
            const std::size_t gap = count++ % 3;
            compare(*kernel, Problem({m, n, k, taps ? taps : 1, taps != 0}, gap, random), gap);
          }
        }
      }
    }
    compare(*kernel, Problem({kernel->mr + 1, 3 * kernel->nr + 1, 4097, 1, false}, 0, random), 0);
    std::cout << kernel->name << ": " << count << " shapes\n";
  }
}

TEST(kernels_gemm_f32_special_values) {
  const float kValues[] = {
      0.0F, -0.0F, 1e-42F, -1e-42F, 3e38F, -3e38F, __builtin_inff(), -__builtin_inff(), __builtin_nanf(""), 1.0F};
  for (const GemmF32Kernel* kernel : kernel_case::candidates(gemm_f32_kernels())) {
    Random random(kernel_case::seed());
    for (int round = 0; round < 50; ++round) {
      Problem problem({kernel->mr + 1, kernel->nr + 1, 2, 1, false}, 0, random);
      for (auto* items : {&problem.a, &problem.w, &problem.bias, &problem.residual}) {
        for (float& item : *items) item = kValues[random.integer(0, 9)];
      }
      problem.pack();
      compare(*kernel, problem, 0);
    }
  }
}

TEST(kernels_gemm_f32_selection) {
  for (std::size_t i = 0; i < gemm_f32_kernels().size; ++i) {
    const GemmF32Kernel& kernel = *gemm_f32_kernels().items[i];
    const quaver::IsaSet only{1U | 1U << static_cast<int>(kernel.isa)};
    CHECK_EQ(std::string(pick_gemm_f32(only, 64, 64, 64).name), std::string(kernel.name));
  }
}

}  // namespace
