#include "kernels/depthwise/depthwise_f32_tile.h"
#include "kernels/depthwise/depthwise_u8_tile.h"
#include "kernels/gemm/neon.h"

namespace quaver::kernels {
namespace {

// The extension has no product of mixed signs: Σ a·w = Σ (a − 128)·w + 128·Σw, the last as −(−128)·Σw.
struct NeonDot {
  using V = Neon;
  using Bytes = Bytes16;
  using Factor = int8x16_t;
  static constexpr std::size_t kProducts = 1;

  static Bytes read_some(const std::uint8_t* p, std::size_t n) { return read_below_16(p, n); }

  static void spread(const Bytes (&taps)[4], int32x4_t* out, std::size_t apart) {
    const uint8x16x2_t pairs01 = vzipq_u8(taps[0], taps[1]), pairs23 = vzipq_u8(taps[2], taps[3]);
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      const uint16x8x2_t quads =
          vzipq_u16(vreinterpretq_u16_u8(pairs01.val[half]), vreinterpretq_u16_u8(pairs23.val[half]));
#pragma GCC unroll 2
      for (int v = 0; v < 2; ++v) {
        const uint8x16_t less = veorq_u8(vreinterpretq_u8_u16(quads.val[v]), vdupq_n_u8(0x80));
        out[(2 * half + v) * apart] = vreinterpretq_s32_u8(less);
      }
    }
  }

  static int8x16_t data(int32x4_t quads) { return vreinterpretq_s8_s32(quads); }
  static int8x16_t weights(const std::int8_t* w) { return vld1q_s8(w); }
  static void start(int32x4_t& acc, int8x16_t w) {
    acc = vsubq_s32(acc, vdotq_s32(vdupq_n_s32(0), vdupq_n_s8(-128), w));
  }
  static void multiply(int32x4_t& acc, int8x16_t data, int8x16_t w, std::size_t) { acc = vdotq_s32(acc, data, w); }
  static void store(std::uint8_t* out, std::size_t apart, const float32x4_t (&y)[kPixels], const Limits& limits) {
    store_lanes<V>(out, apart, y, limits);
  }
};

}  // namespace

const DepthwiseU8Kernel depthwise_u8_neondot = {"depthwise_u8_neondot", Isa::neondot, false, NeonDot::kProducts,
                                                depthwise_u8<NeonDot>};
const DepthwiseF32Kernel depthwise_f32_neondot = {"depthwise_f32_neondot", Isa::neondot, depthwise_f32<Neon>};

}  // namespace quaver::kernels
