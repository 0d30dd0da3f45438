#include "kernels/nibble/lists.h"
#include "kernels/nibble/rows.h"

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

std::int32_t weight(const NibblePanelArgs& args, std::size_t j, std::size_t p) {
  const std::uint8_t* column = args.w + j / kNibblePanel * args.shape.panel_bytes() + j % kNibblePanel * 4;
  return column[p / kNibbleStep * 64 + p % 4] >> p % kNibbleStep / 4 * 4 & 15;
}

// Where the scale and the zero point of column j's block b lie.
std::size_t parameter(const NibblePanels& shape, std::size_t j, std::size_t b) {
  return (j / kNibblePanel * shape.blocks() + b) * kNibblePanel + j % kNibblePanel;
}

void run_panels(const NibblePanelArgs& args) {
  const NibblePanels& shape = args.shape;
  const std::size_t blocks = shape.blocks();
  for (std::size_t i = 0; i < args.m; ++i) {
    for (std::size_t j = 0; j < shape.n; ++j) {
      float y = 0;
      for (std::size_t b = 0; b < blocks; ++b) {
        const std::size_t at = parameter(shape, j, b);
        std::int32_t sum = 0;
        for (std::size_t p = b * shape.block; p < (b + 1) * shape.block; ++p) {
          sum += args.q[i * blocks * shape.block + p] * (weight(args, j, p) - args.zero[at]);
        }
        y = __builtin_fmaf(static_cast<float>(sum), args.step[i * blocks + b] * args.scale[at], y);
      }
      args.c[i * args.c_stride + j] = args.bias ? y + args.bias[j] : y;
    }
  }
}

void reals(const NibblePanelArgs& args, std::size_t panel, float* out) {
  for (std::size_t p = 0; p < args.shape.k; ++p) {
    for (std::size_t l = 0; l < kNibblePanel; ++l) {
      const std::size_t j = panel * kNibblePanel + l, at = parameter(args.shape, j, p / args.shape.block);
      out[p * kNibblePanel + l] = static_cast<float>(weight(args, j, p) - args.zero[at]) * args.scale[at];
    }
  }
}

}  // namespace

const NibblePanelKernel kNibblePanelsScalar = {"nibble_panels_scalar", Isa::scalar, &quantize_row, &run_panels, &reals};
const NibbleKernel kNibbleScalar = {"nibble_scalar", Isa::scalar, &run};

}  // namespace quaver::kernels
