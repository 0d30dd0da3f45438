// Every elementwise kernel that this CPU runs against the scalar definition, to the bit; the definition against plain
// arithmetic and, for the transcendental functions, against double precision.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "base/error.h"
#include "cpp/check.h"
#include "isa/cpu.h"
#include "kernels/elementwise/binary.h"
#include "kernels/elementwise/number.h"
#include "kernels/elementwise/table.h"
#include "kernels/elementwise/unary.h"

namespace {

using namespace quaver;
using namespace quaver::kernels;

constexpr unsigned kSeed = 20240611;
constexpr std::size_t kSizes[] = {0, 1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 1000};
constexpr std::size_t kSteps[][2] = {{1, 1}, {1, 0}, {0, 1}, {0, 0}};
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

bool same(float a, float b) { return (std::isnan(a) && std::isnan(b)) || std::memcmp(&a, &b, sizeof a) == 0; }
template <class T>
bool same(T a, T b) {
  return a == b;
}

std::vector<float> some_floats(std::mt19937& random, std::size_t n) {
  const float special[] = {kInf, -kInf, kNan, 0.0F, -0.0F, 1e-40F, -1e-40F, 3.4e38F, -3.4e38F};
  std::normal_distribution<float> normal(0, 4);
  std::vector<float> out(n);
  for (float& x : out) x = random() % 8 ? normal(random) : special[random() % std::size(special)];
  return out;
}

std::vector<std::uint8_t> some_bytes(std::mt19937& random, std::size_t n) {
  std::vector<std::uint8_t> out(n);
  const unsigned kind = random() % 4;
  for (auto& x : out) x = static_cast<std::uint8_t>(kind == 0 ? 0 : kind == 1 ? 255 : random());
  return out;
}

// Runs `args` through every kernel into `out`, one element longer than n, and compares with the first, the definition.
// Returns what that one gave.
template <class List, class Args, class T>
std::vector<T> compare(List list, Args args, T* Args::* out) {
  CHECK(list.items[0]->isa == Isa::scalar);
  constexpr T kGuard = 42;
  std::vector<T> want(args.n + 1, kGuard);
  args.*out = want.data();
  list.items[0]->run(args);
  CHECK_EQ(want.back(), kGuard);
  for (std::size_t k = 1; k < list.size; ++k) {
    if (!detected_isa().has(list.items[k]->isa)) continue;
    std::vector<T> got(args.n + 1, kGuard);
    args.*out = got.data();
    list.items[k]->run(args);
    for (std::size_t i = 0; i <= args.n; ++i) {
      if (same(got[i], want[i])) continue;
      check::failed(__FILE__, __LINE__,
                    text(list.items[k]->name, ", ", args.n, " elements, at ", i, ": ", +got[i],
                         ", the definition gives ", +want[i], "; seed ", kSeed));
      break;
    }
  }
  return want;
}

TEST(binary_f32_kernels_agree) {
  std::mt19937 random(kSeed);
  for (std::size_t n : kSizes) {
    for (int op = 0; op < 7; ++op) {
      for (auto [a_step, b_step] : kSteps) {
        const auto a = some_floats(random, n + 1), b = some_floats(random, n + 1);
        BinaryF32Args args;
        args.op = static_cast<BinaryF32Op>(op);
        args.n = n, args.a = a.data() + 1, args.b = b.data(), args.a_step = a_step, args.b_step = b_step;
        if (n == 0) args.a = a.data();
        if (random() % 2) args.lo = -1.5F, args.hi = 2.25F;
        compare(binary_f32_kernels(), args, &BinaryF32Args::c);
      }
    }
  }
}

TEST(binary_f32_chooses_nan_on_either_side) {
  const float a[] = {1, kNan}, b[] = {kNan, 1};
  for (const BinaryF32Op op : {BinaryF32Op::max, BinaryF32Op::min}) {
    BinaryF32Args args;
    args.op = op, args.n = 2, args.a = a, args.b = b;
    const auto c = compare(binary_f32_kernels(), args, &BinaryF32Args::c);
    CHECK(std::isnan(c[0]) && std::isnan(c[1]));
  }
}

TEST(binary_f32_computes) {
  const float a[] = {6, -6, kNan, 100}, b[] = {4, 4, 4, 4};
  const auto run = [&](BinaryF32Op op) {
    BinaryF32Args args;
    args.op = op, args.n = 4, args.a = a, args.b = b, args.lo = -20, args.hi = 50;
    return compare(binary_f32_kernels(), args, &BinaryF32Args::c);
  };
  const std::array<std::array<float, 2>, 7> want{
      {{10, -2}, {2, -10}, {24, -20}, {1.5F, -1.5F}, {6, -20}, {6, 4}, {4, -6}}};
  for (int op = 0; op < 7; ++op) {
    const auto c = run(static_cast<BinaryF32Op>(op));
    CHECK_EQ(c[0], want[op][0]);
    CHECK_EQ(c[1], want[op][1]);
    CHECK(std::isnan(c[2]));
    if (op != 3 && op != 6) CHECK_EQ(c[3], 50);
  }
}

TEST(binary_u8_kernels_agree) {
  std::mt19937 random(kSeed);
  for (std::size_t n : kSizes) {
    for (int op = 0; op < 3; ++op) {
      for (auto [a_step, b_step] : kSteps) {
        for (int round = 0; round < 8; ++round) {
          const auto a = some_bytes(random, n + 1), b = some_bytes(random, n + 1);
          BinaryU8Args args;
          args.op = static_cast<BinaryU8Op>(op);
          args.n = n, args.a = a.data(), args.b = b.data(), args.a_step = a_step, args.b_step = b_step;
          args.a_zero = random() % 256, args.b_zero = random() % 256, args.zero = random() % 256;
          const float reach[] = {1e-6F, 0.01F, 0.5F, 1, 300, 1e30F, kInf};  // 0.5: ties
          args.ka = reach[random() % 7], args.kb = -reach[random() % 7], args.ky = 0.5F;
          if (random() % 2) args.lo = random() % 128, args.hi = 128 + random() % 128;
          compare(binary_u8_kernels(), args, &BinaryU8Args::c);
        }
      }
    }
  }
}

// All pairs of bytes, against the contract in double precision: equal but where t is a tie within float's rounding.
TEST(binary_u8_computes) {
  std::vector<std::uint8_t> all(256);
  std::iota(all.begin(), all.end(), 0);
  for (int op = 0; op < 3; ++op) {
    for (int b = 0; b < 256; ++b) {
      BinaryU8Args args;
      const auto one = static_cast<std::uint8_t>(b);
      args.op = static_cast<BinaryU8Op>(op), args.n = 256, args.a = all.data(), args.b = &one, args.b_step = 0;
      args.a_zero = 100, args.b_zero = 30, args.ka = 0.0123F, args.kb = -0.71F, args.ky = 0.013F;
      args.zero = 7, args.lo = 3, args.hi = 250;
      const auto c = compare(binary_u8_kernels(), args, &BinaryU8Args::c);
      for (int a = 0; a < 256; ++a) {
        const double x = a - 100, y = b - 30, ka = args.ka, kb = args.kb, ky = args.ky;
        double t = op == 0 ? x * ka + y * kb : op == 1 ? x * y * ka : x * ka / (y * kb) / ky;
        if (op == 2 && x == 0) t = 0;
        if (op == 2 && x != 0 && y == 0) t = x < 0 ? 1e9 : -1e9;  // +0 · negative kb is −0
        CHECK(std::abs(c[a] - std::clamp(t + 7, 3.0, 250.0)) <= 0.5001);
      }
    }
  }
}

TEST(prelu_u8_kernels_agree) {
  std::mt19937 random(kSeed);
  for (std::size_t n : kSizes) {
    for (auto [a_step, b_step] : kSteps) {
      const auto a = some_bytes(random, n + 1);
      const auto b = some_floats(random, n + 1);
      PreluU8Args args;
      args.n = n, args.a = a.data(), args.b = b.data(), args.a_step = a_step, args.b_step = b_step;
      args.a_zero = random() % 256, args.zero = random() % 256, args.ka = 0.5F;
      compare(prelu_u8_kernels(), args, &PreluU8Args::c);
    }
  }
  const std::uint8_t a[] = {90, 110};
  const float slope = 0.5F;
  PreluU8Args args;
  args.n = 2, args.a = a, args.b = &slope, args.b_step = 0, args.a_zero = 100, args.ka = 2, args.zero = 50;
  const auto c = compare(prelu_u8_kernels(), args, &PreluU8Args::c);
  CHECK_EQ(+c[0], 40);
  CHECK_EQ(+c[1], 70);
}

TEST(unary_f32_kernels_agree) {
  std::mt19937 random(kSeed);
  for (std::size_t n : kSizes) {
    for (int op = 0; op < kUnaryF32OpCount; ++op) {
      auto x = some_floats(random, n);
      UnaryF32Args args;
      args.op = static_cast<UnaryF32Op>(op), args.n = n, args.x = x.data(), args.p = -0.3F, args.q = 0.6F;
      const auto want = compare(unary_f32_kernels(), args, &UnaryF32Args::y);
      args.y = x.data();  // in place
      pick_unary_f32(detected_isa()).run(args);
      CHECK(std::equal(x.begin(), x.end(), want.begin(), [](float a, float b) { return same(a, b); }));
    }
  }
}

float unary(UnaryF32Op op, float x, float p = 0, float q = 0) {
  UnaryF32Args args;
  args.op = op, args.n = 1, args.x = &x, args.p = p, args.q = q;
  return compare(unary_f32_kernels(), args, &UnaryF32Args::y)[0];
}

TEST(unary_f32_limits) {
  using enum UnaryF32Op;
  for (int op = 0; op < kUnaryF32OpCount; ++op) {
    if (op == int(threshold) || op == int(shrink)) continue;  // between their bounds all is 0
    if (!std::isnan(unary(static_cast<UnaryF32Op>(op), kNan, 0.1F, 0.5F))) {
      check::failed(__FILE__, __LINE__, text("function ", op, " of NaN"));
    }
  }
  CHECK_EQ(unary(sigmoid, -kInf), 0);
  CHECK_EQ(unary(sigmoid, kInf), 1);
  CHECK_EQ(unary(tanh, -kInf), -1);
  CHECK_EQ(unary(tanh, kInf), 1);
  CHECK_EQ(unary(erf, -kInf), -1);
  CHECK_EQ(unary(erf, kInf), 1);
  CHECK_EQ(unary(exp, -kInf), 0);
  CHECK_EQ(unary(exp, kInf), kInf);
  CHECK_EQ(unary(exp, 0), 1);
  CHECK_EQ(unary(hard_swish, -kInf), 0);
  CHECK_EQ(unary(hard_swish, kInf), kInf);
  CHECK_EQ(unary(hard_sigmoid, kInf, 0.2F, 0.5F), 1);
  CHECK_EQ(unary(leaky_relu, -2, 0.25F), -0.5F);
  CHECK_EQ(unary(sqrt, 9), 3);
  CHECK(std::isnan(unary(sqrt, -1)));
  CHECK_EQ(unary(abs, -kInf), kInf);
  CHECK_EQ(unary(neg, 5), -5);
  CHECK_EQ(unary(affine, 0.1F, 3, 7), 0.1F * 3 + 7);
  CHECK(std::signbit(unary(affine, -0.0F, 1, -0.0F)));
  CHECK_EQ(unary(log, 0), -kInf);
  CHECK_EQ(unary(log, kInf), kInf);
  CHECK(std::isnan(unary(log, -1)));
  CHECK(std::isnan(unary(sin, kInf)));
  CHECK_EQ(unary(cos, 0), 1);
  CHECK_EQ(unary(sin, 1e30F), static_cast<float>(std::sin(double{1e30F})));
  CHECK_EQ(unary(asin, -1), -static_cast<float>(M_PI / 2));
  CHECK_EQ(unary(acos, -1), static_cast<float>(M_PI));
  CHECK(std::isnan(unary(acos, 1.5F)));
  CHECK_EQ(unary(atan, -kInf), -static_cast<float>(M_PI / 2));
  CHECK_EQ(unary(sinh, -kInf), -kInf);
  CHECK_EQ(unary(cosh, -kInf), kInf);
  CHECK_EQ(unary(asinh, -kInf), -kInf);
  CHECK_EQ(unary(acosh, 1), 0);
  CHECK(std::isnan(unary(acosh, 0.5F)));
  CHECK_EQ(unary(atanh, -1), -kInf);
  CHECK(std::isnan(unary(atanh, 2)));
  CHECK_EQ(unary(elu, -kInf, 2, 1), -2);
  CHECK_EQ(unary(elu, kInf, 2, 1), kInf);
  CHECK_EQ(unary(selu, kInf, 2, 3), kInf);
  CHECK_EQ(unary(softplus, -kInf), 0);
  CHECK_EQ(unary(softplus, kInf), kInf);
  CHECK_EQ(unary(mish, -kInf), 0);
  CHECK_EQ(unary(mish, kInf), kInf);
  CHECK_EQ(unary(threshold, 2, 2), 0);
  CHECK_EQ(unary(shrink, -2, 1, 0.5F), -1.5F);
  CHECK_EQ(unary(sign, -kInf), -1);
  CHECK_EQ(unary(sign, -0.0F), 0);
  CHECK_EQ(unary(round, 2.5F), 2);
  CHECK_EQ(unary(floor, -0.5F), -1);
  CHECK_EQ(unary(ceil, 1e30F), 1e30F);
  CHECK_EQ(unary(clip, 5, 0, 4), 4);
  CHECK_EQ(unary(clip, -5, 0, 4), 0);
}

// Units in the last place of a float near `x`, subnormal ones included.
double ulp(double x) {
  int exponent;
  std::frexp(std::max(std::abs(x), double{std::numeric_limits<float>::min()}), &exponent);
  return std::ldexp(1.0, exponent - 24);
}

// 1 / (1 + e^−x), whose subnormal results are zeros.
double sigmoid_of(double x) {
  const double y = x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
  return x < -87 ? 0 : y;
}

// The worst error over every 97th float of all.
double worst_ulp(UnaryF32Op op, double (*exact)(double)) {
  constexpr std::size_t kChunk = 1 << 14;
  std::vector<float> x(kChunk), y(kChunk);
  double worst = 0;
  std::uint64_t bits = 0;
  while (bits < std::uint64_t{1} << 32) {
    for (float& item : x) {
      const auto low = static_cast<std::uint32_t>(bits);
      std::memcpy(&item, &low, sizeof item);
      bits += 97;
    }
    UnaryF32Args args;
    args.op = op, args.n = kChunk, args.x = x.data(), args.y = y.data(), args.p = args.q = 1;
    pick_unary_f32(detected_isa()).run(args);
    for (std::size_t i = 0; i < kChunk; ++i) {
      const double want = exact(x[i]);
      if (std::isnan(want) || static_cast<float>(want) == y[i]) continue;
      worst = std::max(worst, std::isinf(y[i]) || std::isnan(y[i]) ? kInf : std::abs(y[i] - want) / ulp(want));
    }
  }
  return worst;
}

double softplus_of(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }
double mish_of(double x) { return x < -87 ? 0.0 : x * std::tanh(softplus_of(x)); }
double elu_of(double x) { return x < 0 ? std::expm1(x) : x; }

TEST(unary_f32_accuracy) {
  using enum UnaryF32Op;
  struct Bound {
    UnaryF32Op op;
    double (*exact)(double);
    double ulp;
  };
  const Bound bounds[] = {
      {exp, std::exp, 1.0},     {sigmoid, sigmoid_of, 3.0}, {tanh, std::tanh, 1.5},  {erf, std::erf, 1.5},
      {log, std::log, 1.0},     {sin, std::sin, 1.6},       {cos, std::cos, 1.6},    {softplus, softplus_of, 2.8},
      {mish, mish_of, 4.4},     {elu, elu_of, 1.5},         {tan, std::tan, 3.6},    {asin, std::asin, 2.3},
      {acos, std::acos, 2.0},   {atan, std::atan, 2.8},     {sinh, std::sinh, 3.6},  {cosh, std::cosh, 3.5},
      {asinh, std::asinh, 3.8}, {acosh, std::acosh, 3.5},   {atanh, std::atanh, 3.5}};
  for (const Bound& bound : bounds) {
    const double worst = worst_ulp(bound.op, bound.exact);
    CHECK(worst > 0.4);  // the measurement works
    if (worst > bound.ulp) {
      check::failed(__FILE__, __LINE__, text("function ", int(bound.op), ": ", worst, " ulp > ", bound.ulp));
    }
  }
}

TEST(table_kernels_agree) {
  std::mt19937 random(kSeed);
  std::vector<std::uint8_t> table(256), all(256);
  for (auto& y : table) y = static_cast<std::uint8_t>(random());
  std::iota(all.begin(), all.end(), 0);
  TableArgs args;
  args.table = table.data(), args.n = 256, args.x = all.data();
  auto y = compare(table_kernels(), args, &TableArgs::y);
  y.pop_back();
  CHECK_EQ(y, table);
  for (std::size_t n : kSizes) {
    const auto x = some_bytes(random, n);
    args.n = n, args.x = x.data();
    compare(table_kernels(), args, &TableArgs::y);
  }
}

TEST(elementwise_pick_takes_the_best_allowed) {
  CHECK(pick_binary_u8(IsaSet{}).isa == Isa::scalar);
  CHECK(pick_table(IsaSet{}).isa == Isa::scalar);
#if defined(__x86_64__)
  CHECK(pick_binary_u8(IsaSet{0b011}).isa == Isa::avx2);
  CHECK(pick_unary_f32(IsaSet{0b111}).isa == Isa::avx2);
  CHECK(pick_unary_f32(IsaSet{0b1111}).isa == Isa::avx512vnni);
#endif
}

// Numbers of few bits, so that two are often alike, and the ends of T.
template <class T>
std::vector<T> some_integers(std::mt19937& random, std::size_t n) {
  const T special[] = {std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), 0, static_cast<T>(-1)};
  std::vector<T> out(n);
  for (T& x : out) x = random() % 4 ? static_cast<T>(random() % 7) : special[random() % std::size(special)];
  return out;
}

template <class T>
void check_integers(std::mt19937& random) {
  using Op = IntegerOp;
  for (std::size_t n : kSizes) {
    for (const Op op :
         {Op::add, Op::sub, Op::mul, Op::div, Op::max, Op::min, Op::distance, Op::bit_and, Op::bit_or, Op::bit_xor}) {
      if (sizeof(T) == 1 && op != Op::add && (op < Op::bit_and || std::is_signed_v<T>)) continue;
      for (const auto& [a_step, b_step] : kSteps) {
        const auto a = some_integers<T>(random, n + 1), b = some_integers<T>(random, n + 1);
        IntegerArgs<T> args;
        args.op = op, args.n = n;
        args.a = a.data(), args.b = b.data();
        args.a_step = a_step, args.b_step = b_step;
        args.lo = random() % 2 ? std::numeric_limits<T>::min() : T{1};
        args.hi = random() % 2 ? std::numeric_limits<T>::max() : T{5};
        const auto want = compare(integer_kernels<T>(), args, &IntegerArgs<T>::c);
        if (sizeof(T) == 8) continue;
        for (std::size_t i = 0; i < n; ++i) {  // in a type that holds all results
          const std::int64_t x = a[i * a_step], y = b[i * b_step];
          const auto wrapped = [](std::int64_t z) { return static_cast<std::int64_t>(static_cast<T>(z)); };
          const std::int64_t z = op == Op::add        ? x + y
                                 : op == Op::sub      ? x - y
                                 : op == Op::mul      ? x * y
                                 : op == Op::div      ? (y ? x / y : 0)
                                 : op == Op::max      ? std::max(x, y)
                                 : op == Op::min      ? std::min(x, y)
                                 : op == Op::distance ? std::abs(wrapped(x - y))
                                 : op == Op::bit_and  ? (x & y)
                                 : op == Op::bit_or   ? (x | y)
                                                      : (x ^ y);
          CHECK_EQ(+want[i], +std::min(std::max(static_cast<T>(z), args.lo), args.hi));
        }
      }
    }
  }
}

TEST(integer_kernels_agree) {
  std::mt19937 random(kSeed);
  check_integers<std::uint8_t>(random);
  check_integers<std::int8_t>(random);
  check_integers<std::int32_t>(random);
  check_integers<std::int64_t>(random);
}

template <class T, class Some>
void check_compares(std::mt19937& random, Some some) {
  for (std::size_t n : kSizes) {
    for (int op = 0; op < kCompareOpCount; ++op) {
      for (const auto& [a_step, b_step] : kSteps) {
        const std::vector<T> a = some(random, n + 1), b = some(random, n + 1);
        CompareArgs<T> args;
        args.op = static_cast<CompareOp>(op), args.n = n;
        args.a = a.data(), args.b = b.data();
        args.a_step = a_step, args.b_step = b_step;
        const auto want = compare(compare_kernels<T>(), args, &CompareArgs<T>::c);
        for (std::size_t i = 0; i < n; ++i) {
          const T x = a[i * a_step], y = b[i * b_step];
          const bool truths[] = {x == y, x<y, x <= y, x> y, x >= y};
          CHECK_EQ(+want[i], +truths[op]);
        }
      }
    }
  }
}

TEST(compare_kernels_agree) {
  std::mt19937 random(kSeed);
  check_compares<std::uint8_t>(random, some_integers<std::uint8_t>);
  check_compares<std::int32_t>(random, some_integers<std::int32_t>);
  check_compares<std::int64_t>(random, some_integers<std::int64_t>);
  check_compares<float>(random, some_floats);
}

TEST(test_f32_kernels_agree) {
  std::mt19937 random(kSeed);
  constexpr float kMost = std::numeric_limits<float>::max();
  for (std::size_t n : kSizes) {
    const auto x = some_floats(random, n + 1);
    TestF32Args args{TestOp::nan, n, x.data(), 0, 0, nullptr};
    const auto nans = compare(test_f32_kernels(), args, &TestF32Args::y);
    args.op = TestOp::outside, args.lo = -kMost, args.hi = kInf;
    const auto below = compare(test_f32_kernels(), args, &TestF32Args::y);
    for (std::size_t i = 0; i < n; ++i) {
      CHECK_EQ(+nans[i], +std::isnan(x[i]));
      CHECK_EQ(+below[i], +(x[i] == -kInf));
    }
  }
}

}  // namespace
