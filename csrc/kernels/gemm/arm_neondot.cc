#include "kernels/gemm/gemm_float_tile.h"
#include "kernels/gemm/gemm_u8_tile.h"
#include "kernels/gemm/neon.h"
#include "kernels/gemm/variants.h"

namespace quaver::kernels {
namespace {

// The extension has no product of mixed signs: rows are staged as a − 128 (a xor 0x80), and each column starts from
// bias + 128·Σw.
struct NeonDot {
  using V = Neon;
  static constexpr int kRows = 6, kVectors = 4;
  static constexpr std::size_t kQuadBytes = 4;

  static void stage(std::uint8_t* to, Bytes16 bytes) { vst1q_u8(to, veorq_u8(bytes, vdupq_n_u8(0x80))); }
  template <int R, int N>
  static void dot(int32x4_t (&acc)[R][N], const std::uint8_t* a, std::size_t stride, const std::int8_t* const (&w)[N]) {
    int8x16_t quads[N];
#pragma GCC unroll 16
    for (int v = 0; v < N; ++v) quads[v] = vld1q_s8(w[v]);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const int8x16_t row = vreinterpretq_s8_u32(vdupq_n_u32(read<std::uint32_t>(a + r * stride)));
#pragma GCC unroll 16
      for (int v = 0; v < N; ++v) acc[r][v] = vdotq_s32(acc[r][v], row, quads[v]);
    }
  }

  template <int N>
  static void start(int32x4_t (&acc)[N], const std::int8_t* w, std::size_t quads, std::size_t) {
    int32x4_t less[N] = {};
    for (std::size_t q = 0; q < quads; ++q, w += kPanelQuad) {
#pragma GCC unroll 4
      for (int v = 0; v < N; ++v) less[v] = vdotq_s32(less[v], vdupq_n_s8(-128), vld1q_s8(w + 16 * v));
    }
#pragma GCC unroll 4
    for (int v = 0; v < N; ++v) acc[v] = vsubq_s32(acc[v], less[v]);
  }
};

struct Float : F32<Neon> {
  using Half = Float;
  static constexpr int kRows = 6;
  static constexpr int vectors(int) { return 4; }
};

}  // namespace

const GemmU8Kernel gemm_u8_neondot = {"gemm_u8_neondot_6x16", Isa::neondot, {}, 6, 16, gemm_u8<NeonDot>};
const GemmF32Kernel gemm_f32_neondot = {"gemm_f32_neondot_6x16", Isa::neondot, 6, 16, gemm_float<Float>};

}  // namespace quaver::kernels
