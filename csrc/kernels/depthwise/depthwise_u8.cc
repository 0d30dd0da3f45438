#include "kernels/depthwise/depthwise_u8.h"

#include "kernels/depthwise/variants.h"
#include "kernels/pick.h"

namespace quaver::kernels {
namespace {

// In order of rank.
constexpr const DepthwiseU8Kernel* kKernels[] = {
    &depthwise_u8_scalar,
#if defined(__x86_64__)
    &depthwise_u8_avx2,   &depthwise_u8_avxvnni, &depthwise_u8_avx512vnni, &depthwise_u8_avx512vbmi,
#elif defined(__aarch64__)
    &depthwise_u8_neondot,
#endif
};

std::size_t padded(std::size_t channels) { return (channels + kDepthwisePad - 1) / kDepthwisePad * kDepthwisePad; }

}  // namespace

std::size_t packed_size_depthwise_u8(std::size_t channels, std::size_t rows, std::size_t columns) {
  return columns * ((rows + 3) / 4 * 4) * padded(channels);
}

void pack_depthwise_u8(std::size_t channels, std::size_t rows, std::size_t columns, const std::int8_t* w,
                       std::int8_t* out) {
  for (std::size_t x = 0; x < columns; ++x) {
    for (std::size_t group = 0; group < rows; group += 4) {
      for (std::size_t c = 0; c < padded(channels); ++c) {
        for (std::size_t y = group; y < group + 4; ++y) {
          *out++ = c < channels && y < rows ? w[(y * columns + x) * channels + c] : std::int8_t{0};
        }
      }
    }
  }
}

std::size_t packed_size_lanes(std::size_t channels, std::size_t side) {
  return lane_values(channels) * lane_dots(side) * 4;
}

void pack_lanes(std::size_t channels, std::size_t side, std::size_t step, const std::int8_t* w, std::int8_t* out) {
  const auto weight = [=](std::size_t dot, std::size_t t, std::size_t c) {
    std::size_t y = t, x = dot;
    if (dot >= side) y = side - 1, x = dot == side ? t : side - 1;
    const bool is_there = dot < side ? t < 4 : dot == side || t == 4 - step;
    return c < channels && y < side && is_there ? w[(y * side + x) * channels + c] : std::int8_t{0};
  };
  for (std::size_t strip = 0; strip < lane_values(channels); strip += kDepthwiseStrip) {
    for (std::size_t dot = 0; dot < lane_dots(side); ++dot) {
      for (std::size_t i = 0; i < kDepthwiseStrip; ++i) {
        for (std::size_t t = 0; t < 4; ++t) *out++ = weight(dot, t, lane_channel(channels, strip + i));
      }
    }
  }
}

bool is_bounded(const DepthwiseU8Args& g) {
  if (g.output == Output::f32) return true;
  const double products = static_cast<double>(g.rows * g.columns) * (255.0 * 128.0);
  const double limit = 0x1p30 - 255.0 * __builtin_fabs(double{g.r_scale});
  bool below = true;
  for (std::size_t c = 0; c < g.channels; ++c) {
    const double largest = products + __builtin_fabs(static_cast<double>(g.bias[c]));
    below &= largest * __builtin_fabs(double{g.scale[c]}) < limit;  // false for NaN
  }
  return below;
}

DepthwiseU8List depthwise_u8_kernels() { return list_of<DepthwiseU8List>(kKernels); }

const DepthwiseU8Kernel& pick_depthwise_u8(IsaSet set) { return pick_best(kKernels, set); }

}  // namespace quaver::kernels
