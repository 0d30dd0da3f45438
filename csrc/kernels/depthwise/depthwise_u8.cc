#include "kernels/depthwise/depthwise_u8.h"

#include "kernels/depthwise/variants.h"
#include "kernels/pick.h"

namespace quaver::kernels {
namespace {

// In order of rank.
constexpr const DepthwiseU8Kernel* kKernels[] = {
    &depthwise_u8_scalar,
#if defined(__x86_64__)
    &depthwise_u8_avx2,
    &depthwise_u8_avxvnni,
    &depthwise_u8_avx512vnni,
#elif defined(__aarch64__)
    &depthwise_u8_neondot,
#endif
};

std::size_t padded(std::size_t channels) { return (channels + kDepthwisePad - 1) / kDepthwisePad * kDepthwisePad; }

}  // namespace

std::size_t packed_size_depthwise_u8(std::size_t channels, std::size_t taps) {
  return (taps + 3) / 4 * 4 * padded(channels);
}

void pack_depthwise_u8(std::size_t channels, std::size_t taps, const std::int8_t* w, std::int8_t* out) {
  for (std::size_t group = 0; group < taps; group += 4) {
    for (std::size_t c = 0; c < padded(channels); ++c) {
      for (std::size_t t = group; t < group + 4; ++t) {
        *out++ = c < channels && t < taps ? w[t * channels + c] : std::int8_t{0};
      }
    }
  }
}

DepthwiseU8List depthwise_u8_kernels() { return list_of<DepthwiseU8List>(kKernels); }

const DepthwiseU8Kernel& pick_depthwise_u8(IsaSet set, std::size_t, std::size_t) { return pick_best(kKernels, set); }

}  // namespace quaver::kernels
