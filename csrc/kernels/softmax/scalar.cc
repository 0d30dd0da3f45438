#include "kernels/rounding.h"
#include "kernels/softmax/exp.h"
#include "kernels/softmax/lists.h"

namespace quaver::kernels {
namespace {

float input(const SoftmaxArgs& args, std::size_t at) {
  if (!args.a_u8) return static_cast<const float*>(args.a)[at];
  return static_cast<float>(static_cast<const std::uint8_t*>(args.a)[at] - args.a_zero) * args.a_scale;
}

void output(const SoftmaxArgs& args, std::size_t at, float y) {
  if (!args.c_u8) {
    static_cast<float*>(args.c)[at] = y;
  } else {
    const std::int32_t q = round_even(clamp_to(y * args.mul, args.lo, args.hi));
    static_cast<std::uint8_t*>(args.c)[at] = static_cast<std::uint8_t>(q + args.zero);
  }
}

void softmax(const SoftmaxArgs& args) {
  const std::size_t softmaxes = args.columns ? args.columns : args.rows;
  for (std::size_t i = 0; i < softmaxes; ++i) {
    const auto at = [&](std::size_t j) { return args.columns ? j * args.stride + i : i * args.n + j; };
    float m = -__builtin_inff(), s[16] = {};
    for (std::size_t j = 0; j < args.n; ++j) {
      const float x = input(args, at(j));
      m = x > m ? x : m;
    }
    for (std::size_t j = 0; j < args.n; ++j) {
      args.scratch[j] = exp_negative(input(args, at(j)) - m);
      s[j % 16] = s[j % 16] + args.scratch[j];
    }
    for (int h = 8; h > 0; h /= 2) {
      for (int l = 0; l < h; ++l) s[l] = s[l] + s[l + h];
    }
    const float factor = 1.0F / s[0];
    for (std::size_t j = 0; j < args.n; ++j) output(args, at(j), args.scratch[j] * factor);
  }
}

}  // namespace

const SoftmaxKernel kSoftmaxScalar = {"softmax_scalar", Isa::scalar, &softmax};

}  // namespace quaver::kernels
