// Softmax as passes over a row in scratch, written for any vector width.
#pragma once

#include "kernels/lanes.h"
#include "kernels/rounding.h"
#include "kernels/softmax/exp.h"
#include "kernels/softmax/lists.h"

namespace quaver::kernels {
namespace {

void load_row(const SoftmaxArgs& args, std::size_t i, float* __restrict x) {
  if (!args.a_u8) {
    const float* a = static_cast<const float*>(args.a) + i * args.n;
    for (std::size_t j = 0; j < args.n; ++j) x[j] = a[j];
    return;
  }
  const std::uint8_t* a = static_cast<const std::uint8_t*>(args.a) + i * args.n;
  const std::int32_t zero = args.a_zero;
  const float scale = args.a_scale;
  for (std::size_t j = 0; j < args.n; ++j) x[j] = static_cast<float>(a[j] - zero) * scale;
}

void store_row(const SoftmaxArgs& args, std::size_t i, float sum, const float* __restrict e) {
  if (!args.c_u8) {
    float* c = static_cast<float*>(args.c) + i * args.n;
    for (std::size_t j = 0; j < args.n; ++j) c[j] = e[j] / sum;
    return;
  }
  std::uint8_t* c = static_cast<std::uint8_t*>(args.c) + i * args.n;
  const float mul = args.mul, lo = args.lo, hi = args.hi;
  const std::int32_t zero = args.zero;
  for (std::size_t j = 0; j < args.n; ++j) {
    c[j] = static_cast<std::uint8_t>(round_even(clamp_to(e[j] / sum * mul, lo, hi)) + zero);
  }
}

void softmax(const SoftmaxArgs& args) {
  float* x = args.scratch;
  for (std::size_t i = 0; i < args.rows; ++i) {
    load_row(args, i, x);
    const float m = max_of(x, args.n);
    for (std::size_t j = 0; j < args.n; ++j) x[j] = exp_negative(x[j] - m);
    store_row(args, i, sum_of(x, args.n), x);
  }
}

}  // namespace
}  // namespace quaver::kernels
