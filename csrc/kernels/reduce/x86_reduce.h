// Reductions of rows, written for any vector width; each instruction set compiles them with its own flags.
#pragma once

#include "kernels/lanes.h"
#include "kernels/reduce/lists.h"
#include "kernels/rounding.h"

namespace quaver::kernels {
namespace {

void max_u8(const ReduceArgs& args) {
  for (std::size_t i = 0; i < args.rows; ++i) {
    const auto* a = static_cast<const std::uint8_t*>(args.a) + i * args.n;
    std::uint8_t y = 0;
    for (std::size_t j = 0; j < args.n; ++j) y = a[j] > y ? a[j] : y;
    static_cast<std::uint8_t*>(args.c)[i] = y;
  }
}

void max_f32(const ReduceArgs& args) {
  for (std::size_t i = 0; i < args.rows; ++i) {
    static_cast<float*>(args.c)[i] = max_of(static_cast<const float*>(args.a) + i * args.n, args.n);
  }
}

void sum_u8(const ReduceArgs& args) {
  const std::int32_t zeros = static_cast<std::int32_t>(args.n) * args.a_zero;
  for (std::size_t i = 0; i < args.rows; ++i) {
    const auto* a = static_cast<const std::uint8_t*>(args.a) + i * args.n;
    std::int32_t sum = 0;
    for (std::size_t j = 0; j < args.n; ++j) sum += a[j];
    const float y = clamp_to(static_cast<float>(sum - zeros) * args.mul, args.lo, args.hi);
    static_cast<std::uint8_t*>(args.c)[i] = static_cast<std::uint8_t>(round_even(y) + args.zero);
  }
}

void sum_f32(const ReduceArgs& args) {
  for (std::size_t i = 0; i < args.rows; ++i) {
    static_cast<float*>(args.c)[i] = sum_of(static_cast<const float*>(args.a) + i * args.n, args.n) / args.divisor;
  }
}

}  // namespace
}  // namespace quaver::kernels

#define QUAVER_REDUCE_KERNELS(isa)                                       \
  {                                                                      \
      {"reduce_max_u8_" #isa, Isa::isa, ReduceKind::max_u8, &max_u8},    \
      {"reduce_max_f32_" #isa, Isa::isa, ReduceKind::max_f32, &max_f32}, \
      {"reduce_sum_u8_" #isa, Isa::isa, ReduceKind::sum_u8, &sum_u8},    \
      {"reduce_sum_f32_" #isa, Isa::isa, ReduceKind::sum_f32, &sum_f32}, \
  }
