#include "kernels/norm/lists.h"
#include "kernels/rounding.h"

namespace quaver::kernels {
namespace {

float real(const NormOperand& x, std::size_t at) {
  return x.f32 ? x.f32[at] : static_cast<float>(x.u8[at] - x.zero) * x.scale;
}

float folded(float (&s)[16]) {
  for (int h = 8; h > 0; h /= 2) {
    for (int l = 0; l < h; ++l) s[l] = s[l] + s[l + h];
  }
  return s[0];
}

void layer_norm(const LayerNormArgs& args) {
  const auto n = static_cast<float>(args.n);
  float* d = args.scratch;
  for (std::size_t i = 0; i < args.rows; ++i) {
    float sums[16] = {}, squares[16] = {};
    for (std::size_t j = 0; j < args.n; ++j) {
      const std::size_t at = i * args.n + j;
      d[j] = real(args.a, at);
      if (args.r.f32 || args.r.u8) d[j] = d[j] + real(args.r, at);
      sums[j % 16] = sums[j % 16] + d[j];
    }
    const float mean = folded(sums) / n;
    for (std::size_t j = 0; j < args.n; ++j) {
      d[j] = d[j] - mean;
      squares[j % 16] = squares[j % 16] + d[j] * d[j];
    }
    const float unit = 1.0F / __builtin_sqrtf(folded(squares) / n + args.epsilon);
    for (std::size_t j = 0; j < args.n; ++j) {
      const float y = d[j] * unit * args.gamma[j] + args.beta[j];
      if (args.c) args.c[i * args.n + j] = y;
      if (!args.b) continue;
      const float t = args.factor ? y * args.factor[j] : y;
      const std::int32_t q = round_even(clamp_to(t * args.mul, args.lo, args.hi));
      args.b[i * args.n + j] = static_cast<std::uint8_t>(q + args.zero);
    }
  }
}

}  // namespace

const LayerNormKernel kLayerNormScalar = {"layer_norm_scalar", Isa::scalar, &layer_norm};

}  // namespace quaver::kernels
