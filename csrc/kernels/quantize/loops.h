// The loops behind quantize.h, written once and compiled for each instruction set.
#pragma once

#include "kernels/lanes.h"
#include "kernels/quantize/quantize.h"
#include "kernels/rounding.h"

namespace quaver::kernels {
namespace {

[[maybe_unused]] inline std::uint8_t quantize_one(float x, float scale, std::int32_t zero, std::uint8_t flip) {
  const float t = x / scale, known = t != t ? 0.0F : t;
  return static_cast<std::uint8_t>(ToByte(zero, 0, 255)(known) ^ flip);
}

void quantize_f32(const QuantizeArgs& args) {
  const float* __restrict x = args.x;
  const float* __restrict scale = args.scale;
  const std::int32_t* __restrict zero = args.zero_point;
  std::uint8_t* __restrict y = args.y;
  const std::uint8_t flip = args.flip;
  if (args.step) {
    for (std::size_t i = 0; i < args.n; ++i) y[i] = quantize_one(x[i], scale[i], zero[i], flip);
  } else {
    const float one_scale = *scale;
    const std::int32_t one_zero = *zero;
    for (std::size_t i = 0; i < args.n; ++i) y[i] = quantize_one(x[i], one_scale, one_zero, flip);
  }
}

[[maybe_unused]] inline float dequantize_one(std::uint8_t x, float scale, std::int32_t zero, std::uint8_t flip) {
  return static_cast<float>(static_cast<std::uint8_t>(x ^ flip) - zero) * scale;
}

void dequantize_u8(const DequantizeArgs& args) {
  const std::uint8_t* __restrict x = args.x;
  const float* __restrict scale = args.scale;
  const std::int32_t* __restrict zero = args.zero_point;
  float* __restrict y = args.y;
  const std::uint8_t flip = args.flip;
  if (args.step) {
    for (std::size_t i = 0; i < args.n; ++i) y[i] = dequantize_one(x[i], scale[i], zero[i], flip);
  } else {
    const float one_scale = *scale;
    const std::int32_t one_zero = *zero;
    for (std::size_t i = 0; i < args.n; ++i) y[i] = dequantize_one(x[i], one_scale, one_zero, flip);
  }
}

// Neither the least nor the greatest depends on the order.
[[maybe_unused]] void range_f32(const RangeArgs& args) {
  const auto less = [](auto m, auto x) { return x < m ? x : m; };
  const auto more = [](auto m, auto x) { return x > m ? x : m; };
  float least[kVirtualLanes], greatest[kVirtualLanes];
  fold_lanes(args.x, args.n, 0.0F, less, less, least);
  fold_lanes(args.x, args.n, 0.0F, more, more, greatest);
  for (std::size_t lane = 1; lane < kVirtualLanes; ++lane) {
    least[0] = less(least[0], least[lane]);
    greatest[0] = more(greatest[0], greatest[lane]);
  }
  *args.least = least[0];
  *args.greatest = greatest[0];
}

}  // namespace
}  // namespace quaver::kernels
