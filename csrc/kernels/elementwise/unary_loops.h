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

template <class F>
void map_f32(const UnaryF32Args& args, F f) {
  const float* x = args.x;
  float* y = args.y;
#pragma GCC ivdep
  for (std::size_t i = 0; i < args.n; ++i) y[i] = f(x[i]);
}

void unary_f32(const UnaryF32Args& args) {
  const float p = args.p, q = args.q;
  switch (args.op) {
    case UnaryF32Op::sigmoid: return map_f32(args, [](float x) { return sigmoid_f32(x); });
    case UnaryF32Op::hard_sigmoid: return map_f32(args, [=](float x) { return hard_sigmoid_f32(x, p, q); });
    case UnaryF32Op::hard_swish: return map_f32(args, [](float x) { return hard_swish_f32(x); });
    case UnaryF32Op::leaky_relu: return map_f32(args, [=](float x) { return x < 0.0F ? p * x : x; });
    case UnaryF32Op::tanh: return map_f32(args, [](float x) { return tanh_f32(x); });
    case UnaryF32Op::exp: return map_f32(args, [](float x) { return exp_f32(x); });
    case UnaryF32Op::sqrt: return map_f32(args, [](float x) { return __builtin_sqrtf(x); });
    case UnaryF32Op::abs: return map_f32(args, [](float x) { return absolute(x); });
    case UnaryF32Op::neg: return map_f32(args, [](float x) { return -x; });
    case UnaryF32Op::erf: return map_f32(args, [](float x) { return erf_f32(x); });
    case UnaryF32Op::gelu: return map_f32(args, [](float x) { return gelu_f32(x); });
    case UnaryF32Op::gelu_tanh: return map_f32(args, [](float x) { return gelu_tanh_f32(x); });
    case UnaryF32Op::swish: return map_f32(args, [=](float x) { return x * sigmoid_f32(p * x); });
    case UnaryF32Op::affine: return map_f32(args, [=](float x) { return p * x + q; });
    case UnaryF32Op::clip: return map_f32(args, [=](float x) { return clamp_through(x, p, q); });
  }
}

}  // namespace
}  // namespace quaver::kernels
