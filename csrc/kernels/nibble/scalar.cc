#include "kernels/nibble/lists.h"

namespace quaver::kernels {
namespace {

float weight(const NibbleArgs& args, std::size_t j, std::size_t p) {
  std::uint32_t word;
  const std::size_t group = j * nibble_groups(args.k) + p / kNibbleGroup;
  __builtin_memcpy(&word, args.w + group * kNibbleGroupBytes + p % 16 * 4, sizeof word);
  const auto q = static_cast<std::int32_t>(word >> p % kNibbleGroup / 16 * 4 & 15);
  const std::size_t block = j * nibble_blocks(args.k, args.block) + p / args.block;
  return static_cast<float>(q - args.zero[block]) * args.scale[block];
}

void run(const NibbleArgs& args) {
  for (std::size_t i = 0; i < args.m; ++i) {
    for (std::size_t j = 0; j < args.n; ++j) {
      float s[16] = {};
      for (std::size_t p = 0; p < nibble_groups(args.k) * kNibbleGroup; ++p) {
        const float a = p < args.k ? args.a[i * args.a_stride + p] : 0.0F;
        s[p % 16] = __builtin_fmaf(a, weight(args, j, p), s[p % 16]);
      }
      for (int h = 8; h > 0; h /= 2) {
        for (int l = 0; l < h; ++l) s[l] = s[l] + s[l + h];
      }
      args.c[i * args.c_stride + j] = args.bias ? s[0] + args.bias[j] : s[0];
    }
  }
}

}  // namespace

const NibbleKernel kNibbleScalar = {"nibble_scalar", Isa::scalar, &run};

}  // namespace quaver::kernels
