// The loops behind unary.h, written once and compiled for each instruction set.
#pragma once

#include "kernels/elementwise/math.h"
#include "kernels/elementwise/unary.h"

namespace quaver::kernels {
namespace {

inline float hard_sigmoid_f32(float x, float p, float q) { return clamp_through(p * x + q, 0.0F, 1.0F); }

inline float hard_swish_f32(float x) {
  const float gate = hard_sigmoid_f32(x, 1.0F / 6.0F, 0.5F), y = x * gate;
  return gate == 0.0F ? 0.0F : y;
}

inline float sign_f32(float x) {
  const float y = x > 0.0F ? 1.0F : x < 0.0F ? -1.0F : 0.0F;
  return x != x ? x : y;
}

template <class F>
void map_f32(const UnaryF32Args& args, F f) {
  const float* x = args.x;
  float* y = args.y;
#pragma GCC ivdep
  for (std::size_t i = 0; i < args.n; ++i) y[i] = f(x[i]);
}

// y = second(x, first(x)) in two loops: each operation waits for the one before it, and of a long chain a core's
// scheduler holds too few elements at once to be busy.
template <class First, class Second>
void map_in_two(const UnaryF32Args& args, First first, Second second) {
  constexpr std::size_t kBlock = 256;
  float between[kBlock];
  for (std::size_t i = 0; i < args.n; i += kBlock) {
    const std::size_t n = args.n - i < kBlock ? args.n - i : kBlock;
    const float* x = args.x + i;
    float* y = args.y + i;
#pragma GCC ivdep
    for (std::size_t j = 0; j < n; ++j) between[j] = first(x[j]);
#pragma GCC ivdep
    for (std::size_t j = 0; j < n; ++j) y[j] = second(x[j], between[j]);
  }
}

// f vectorizes and holds for |x| < kMostTurned, `far` for the rest.
template <class F, class Far>
void map_turns(const UnaryF32Args& args, F f, Far far) {
  constexpr std::size_t kBlock = 64;
  for (std::size_t i = 0; i < args.n; i += kBlock) {
    UnaryF32Args block = args;
    block.n = args.n - i < kBlock ? args.n - i : kBlock;
    block.x += i, block.y += i;
    bool near = true;
    for (std::size_t j = 0; j < block.n; ++j) near &= absolute(block.x[j]) < kMostTurned;
    near ? map_f32(block, f) : map_f32(block, far);
  }
}

void unary_f32(const UnaryF32Args& args) {
  const float p = args.p, q = args.q;
  switch (args.op) {
    case UnaryF32Op::sigmoid:
      return map_in_two(
          args, [](float x) { return exp_minus_abs(x); }, [](float x, float e) { return sigmoid_by(x, e); });
    case UnaryF32Op::hard_sigmoid: return map_f32(args, [=](float x) { return hard_sigmoid_f32(x, p, q); });
    case UnaryF32Op::hard_swish: return map_f32(args, [](float x) { return hard_swish_f32(x); });
    case UnaryF32Op::leaky_relu: return map_f32(args, [=](float x) { return x < 0.0F ? p * x : x; });
    case UnaryF32Op::tanh: return map_f32(args, [](float x) { return tanh_f32(x); });
    case UnaryF32Op::exp: return map_f32(args, [](float x) { return exp_f32(x); });
    case UnaryF32Op::sqrt: return map_f32(args, [](float x) { return __builtin_sqrtf(x); });
    case UnaryF32Op::abs: return map_f32(args, [](float x) { return absolute(x); });
    case UnaryF32Op::neg: return map_f32(args, [](float x) { return -x; });
    case UnaryF32Op::erf: return map_f32(args, [](float x) { return erf_f32(x); });
    case UnaryF32Op::gelu:
      return map_in_two(args, [](float x) { return gelu_power(x); }, [](float x, float g) { return gelu_by(x, g); });
    case UnaryF32Op::gelu_tanh: return map_f32(args, [](float x) { return gelu_tanh_f32(x); });
    case UnaryF32Op::swish:
      return map_in_two(
          args, [=](float x) { return exp_minus_abs(p * x); },
          [=](float x, float e) { return x * sigmoid_by(p * x, e); });
    case UnaryF32Op::affine: return map_f32(args, [=](float x) { return p * x + q; });
    case UnaryF32Op::clip: return map_f32(args, [=](float x) { return clamp_through(x, p, q); });
    case UnaryF32Op::log: return map_f32(args, [](float x) { return log_f32(x); });
    case UnaryF32Op::sin:
      return map_turns(
          args, [](float x) { return sine_f32(x, 0); },
          [](float x) { return static_cast<float>(__builtin_sin(static_cast<double>(x))); });
    case UnaryF32Op::cos:
      return map_turns(
          args, [](float x) { return sine_f32(x, 1); },
          [](float x) { return static_cast<float>(__builtin_cos(static_cast<double>(x))); });
    case UnaryF32Op::tan:
      return map_turns(
          args, [](float x) { return tan_f32(x); },
          [](float x) { return static_cast<float>(__builtin_tan(static_cast<double>(x))); });
    case UnaryF32Op::asin: return map_f32(args, [](float x) { return asin_f32(x); });
    case UnaryF32Op::acos: return map_f32(args, [](float x) { return acos_f32(x); });
    case UnaryF32Op::atan: return map_f32(args, [](float x) { return atan_f32(x); });
    case UnaryF32Op::sinh: return map_f32(args, [](float x) { return sinh_f32(x); });
    case UnaryF32Op::cosh: return map_f32(args, [](float x) { return cosh_f32(x); });
    case UnaryF32Op::asinh: return map_f32(args, [](float x) { return asinh_f32(x); });
    case UnaryF32Op::acosh: return map_f32(args, [](float x) { return acosh_f32(x); });
    case UnaryF32Op::atanh: return map_f32(args, [](float x) { return atanh_f32(x); });
    case UnaryF32Op::elu:
      return map_f32(args, [=](float x) {
        const float below = p * expm1_below(q * x);
        return x < 0.0F ? below : x;
      });
    case UnaryF32Op::selu:
      return map_f32(args, [=](float x) {
        const float below = p * expm1_below(x);
        return q * (x < 0.0F ? below : x);
      });
    case UnaryF32Op::softplus: return map_f32(args, [](float x) { return softplus_f32(x); });
    case UnaryF32Op::mish: return map_f32(args, [](float x) { return mish_f32(x); });
    case UnaryF32Op::softsign: return map_f32(args, [](float x) { return x / (1.0F + absolute(x)); });
    case UnaryF32Op::threshold: return map_f32(args, [=](float x) { return x > p ? x : 0.0F; });
    case UnaryF32Op::shrink:
      return map_f32(args, [=](float x) {
        const float below = x + q, above = x - q;
        return x < -p ? below : x > p ? above : 0.0F;
      });
    case UnaryF32Op::reciprocal: return map_f32(args, [](float x) { return 1.0F / x; });
    case UnaryF32Op::sign: return map_f32(args, [](float x) { return sign_f32(x); });
    case UnaryF32Op::floor: return map_f32(args, [](float x) { return __builtin_floorf(x); });
    case UnaryF32Op::ceil: return map_f32(args, [](float x) { return __builtin_ceilf(x); });
    case UnaryF32Op::round: return map_f32(args, [](float x) { return __builtin_rintf(x); });
  }
}

}  // namespace
}  // namespace quaver::kernels
