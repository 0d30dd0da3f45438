#include "kernels/depthwise/depthwise_f32_tile.h"
#include "kernels/depthwise/depthwise_u8_tile.h"
#include "kernels/gemm/neon.h"

namespace quaver::kernels {
namespace {

// The extension has no product of mixed signs: Σ a·w = Σ (a − 128)·w + 128·Σw, the last as −(−128)·Σw.
struct NeonDot {
  using V = Neon;
  static constexpr int kPixels = 1;

  static const std::int8_t* weights(const std::int8_t* w) { return w; }
  static void dot(int32x4_t (&acc)[4], const Bytes16 (&taps)[4], const std::int8_t* w) {
    const uint8x16x2_t pairs01 = vzipq_u8(taps[0], taps[1]), pairs23 = vzipq_u8(taps[2], taps[3]);
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      const uint16x8x2_t quads =
          vzipq_u16(vreinterpretq_u16_u8(pairs01.val[half]), vreinterpretq_u16_u8(pairs23.val[half]));
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        const int8x16_t weights = vld1q_s8(w + 32 * half + 16 * v);
        const uint8x16_t less = veorq_u8(vreinterpretq_u8_u16(quads.val[v]), vdupq_n_u8(0x80));
        int32x4_t& sum = acc[2 * half + v];
        sum = vdotq_s32(sum, vreinterpretq_s8_u8(less), weights);
        sum = vsubq_s32(sum, vdotq_s32(vdupq_n_s32(0), vdupq_n_s8(-128), weights));
      }
    }
  }
  static void last(int32x4_t (&acc)[4], Bytes16 tap, const std::int8_t* w) { dot(acc, {tap, tap, tap, tap}, w); }
};

}  // namespace

const DepthwiseU8Kernel depthwise_u8_neondot = {"depthwise_u8_neondot", Isa::neondot, depthwise_u8<NeonDot>};
const DepthwiseF32Kernel depthwise_f32_neondot = {"depthwise_f32_neondot", Isa::neondot, depthwise_f32<Neon>};

}  // namespace quaver::kernels
