// NEON vectors under the names that the tiles and epilogues use. Internal linkage, for kernel files.
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "kernels/gemm/part.h"

namespace quaver::kernels {
namespace {

struct Neon {
  using I = int32x4_t;
  using F = float32x4_t;
  static constexpr int kLanes = 4;

  static I load(const std::int32_t* p) { return vld1q_s32(p); }
  static F load(const float* p) { return vld1q_f32(p); }
  static void store(std::int32_t* p, I v) { vst1q_s32(p, v); }
  static void store(float* p, F v) { vst1q_f32(p, v); }
  static I splat(std::int32_t v) { return vdupq_n_s32(v); }
  static F splat(float v) { return vdupq_n_f32(v); }

  static I add(I a, I b) { return vaddq_s32(a, b); }
  static I sub(I a, I b) { return vsubq_s32(a, b); }
  static I mul(I a, I b) { return vmulq_s32(a, b); }
  static F add(F a, F b) { return vaddq_f32(a, b); }
  static F mul(F a, F b) { return vmulq_f32(a, b); }
  static F fma(F a, F b, F c) { return vfmaq_f32(c, a, b); }
  // Compare and select, because vmaxq orders zeros by sign, which the scalar definition does not.
  static F clamp(F y, float lo, float hi) {
    y = vbslq_f32(vcgtq_f32(splat(lo), y), splat(lo), y);
    return vbslq_f32(vcltq_f32(splat(hi), y), splat(hi), y);
  }
  static F min(F a, F b) { return vbslq_f32(vcltq_f32(b, a), b, a); }

  static F to_float(I v) { return vcvtq_f32_s32(v); }
  static I round(F v) { return vcvtnq_s32_f32(v); }
  // 4 bytes to and from 4 lanes; the lanes stored lie in [0, 255].
  static I load_u8(const std::uint8_t* p) {
    std::uint32_t word;
    __builtin_memcpy(&word, p, 4);
    const uint8x8_t bytes = vreinterpret_u8_u32(vdup_n_u32(word));
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(bytes))));
  }
  static void store_u8(std::uint8_t* p, I v) {
    const uint16x4_t words = vmovn_u32(vreinterpretq_u32_s32(v));
    const std::uint32_t word = vget_lane_u32(vreinterpret_u32_u8(vmovn_u16(vcombine_u16(words, words))), 0);
    __builtin_memcpy(p, &word, 4);
  }

  // Four vectors' lanes plus `zero` as bytes, saturated; the first vector's are the lowest.
  using Words = int16x8_t;
  using Bytes = uint8x16_t;
  static Bytes pack(I a, I b, I c, I d, Words zero) {
    const Words low = vqaddq_s16(vcombine_s16(vqmovn_s32(a), vqmovn_s32(b)), zero);
    const Words high = vqaddq_s16(vcombine_s16(vqmovn_s32(c), vqmovn_s32(d)), zero);
    return vcombine_u8(vqmovun_s16(low), vqmovun_s16(high));
  }
  static Words splat_words(std::int32_t v) { return vdupq_n_s16(static_cast<std::int16_t>(v)); }
  static Bytes max_u8(Bytes a, Bytes b) { return vmaxq_u8(a, b); }
  static Bytes min_u8(Bytes a, Bytes b) { return vminq_u8(a, b); }
  // Of four packed vectors kCount from the kFirst-th on.
  template <int kFirst, int kCount>
  static void store_packed(std::uint8_t* p, Bytes v) {
    if constexpr (kCount == 4) {
      vst1q_u8(p, v);
    } else {
      store_part<kFirst>(p, v, kLanes);
      if constexpr (kCount == 2) store_part<kFirst + 1>(p + kLanes, v, kLanes);
    }
  }
  // The first `count` ≤ kLanes bytes of one of them, and of a row in memory.
  template <int kWhich>
  static void store_part(std::uint8_t* p, Bytes v, std::size_t count) {
    write_part(p, vgetq_lane_u32(vreinterpretq_u32_u8(v), kWhich), count);
  }
  static I load_part_u8(const std::uint8_t* p, std::size_t count) {
    const uint8x8_t bytes = vreinterpret_u8_u64(vdup_n_u64(read_part(p, count)));
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(vmovl_u8(bytes))));
  }
};

}  // namespace
}  // namespace quaver::kernels
