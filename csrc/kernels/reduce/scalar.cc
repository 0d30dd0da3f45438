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
    const float* a = static_cast<const float*>(args.a) + i * args.n;
    float m[16];
    for (int l = 0; l < 16; ++l) m[l] = -__builtin_inff();
    for (std::size_t j = 0; j < args.n; ++j) m[j % 16] = a[j] > m[j % 16] ? a[j] : m[j % 16];
    float y = m[0];
    for (int l = 1; l < 16; ++l) y = m[l] > y ? m[l] : y;
    static_cast<float*>(args.c)[i] = y;
  }
}

void sum_u8(const ReduceArgs& args) {
  for (std::size_t i = 0; i < args.rows; ++i) {
    const auto* a = static_cast<const std::uint8_t*>(args.a) + i * args.n;
    std::int32_t acc = 0;
    for (std::size_t j = 0; j < args.n; ++j) acc += a[j] - args.a_zero;
    const float y = clamp_to(static_cast<float>(acc) * args.mul, args.lo, args.hi);
    static_cast<std::uint8_t*>(args.c)[i] = static_cast<std::uint8_t>(round_even(y) + args.zero);
  }
}

void sum_f32(const ReduceArgs& args) {
  for (std::size_t i = 0; i < args.rows; ++i) {
    const float* a = static_cast<const float*>(args.a) + i * args.n;
    float s[16] = {};
    for (std::size_t j = 0; j < args.n; ++j) s[j % 16] = s[j % 16] + a[j];
    for (int h = 8; h > 0; h /= 2) {
      for (int l = 0; l < h; ++l) s[l] = s[l] + s[l + h];
    }
    static_cast<float*>(args.c)[i] = s[0] / args.divisor;
  }
}

}  // namespace

const ReduceKernel kReduceScalar[kReduceKinds] = {
    {"reduce_max_u8_scalar", Isa::scalar, ReduceKind::max_u8, &max_u8},
    {"reduce_max_f32_scalar", Isa::scalar, ReduceKind::max_f32, &max_f32},
    {"reduce_sum_u8_scalar", Isa::scalar, ReduceKind::sum_u8, &sum_u8},
    {"reduce_sum_f32_scalar", Isa::scalar, ReduceKind::sum_f32, &sum_f32},
};

}  // namespace quaver::kernels
