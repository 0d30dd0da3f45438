// What convolutions and products share after the sum: fused clamps, the residual, requantization.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/gemm/gemm_u8.h"
#include "ops/op.h"

namespace quaver {

inline constexpr std::size_t kResidual = 3;  // index of the fused residual input

// A fused clamp of the real result, brought to output steps around the zero point: [lo, hi] within [−zero, 255 − zero],
// whole numbers, so that clamping before rounding and after it are the same.
struct ClampU8 {
  float lo, hi;
  ClampU8(const Attrs& attrs, float scale, std::int32_t zero) {
    const auto step = [&](double real) {
      return static_cast<float>(std::clamp(std::nearbyint(real / scale), double(-zero), double(255 - zero)));
    };
    lo = step(attrs.f("lo", -std::numeric_limits<double>::infinity()));
    hi = step(attrs.f("hi", std::numeric_limits<double>::infinity()));
  }
};

// Fills the requantizing part of GemmU8Args or DepthwiseU8Args.
template <class Args>
void set_epilogue_u8(const LowerContext& context, Args& args) {
  const Value& y = context.output();
  const float scale = context.scale(y);
  const Attrs& attrs = context.node.attrs;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  args.zero = context.zero_point(y);
  const ClampU8 clamp(attrs, scale, args.zero);
  args.lo = clamp.lo;
  args.hi = clamp.hi;
  args.pre_lo = static_cast<float>(std::max(attrs.f("pre_lo", -kInfinity) / scale, -3.4e38));
  args.pre_hi = static_cast<float>(std::min(attrs.f("pre_hi", kInfinity) / scale, 3.4e38));
  if (context.has_input(kResidual)) {
    const Value& residual = context.input(kResidual);
    args.r_zero = context.zero_point(residual);
    args.r_scale = context.scale(residual) / scale;
  }
}

// Fills the clamps of GemmF32Args or DepthwiseF32Args.
template <class Args>
void set_epilogue_f32(const LowerContext& context, Args& args) {
  const Attrs& attrs = context.node.attrs;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  args.pre_lo = static_cast<float>(attrs.f("pre_lo", -kInfinity));
  args.pre_hi = static_cast<float>(attrs.f("pre_hi", kInfinity));
  args.lo = static_cast<float>(attrs.f("lo", -kInfinity));
  args.hi = static_cast<float>(attrs.f("hi", kInfinity));
}

// A quantized product whose sums become floats: the clamps are real numbers then, and the scale that of the operands.
template <class Args>
float set_epilogue_u8_or_f32(const LowerContext& context, Args& args) {
  if (context.output().dtype != DType::f32) {
    set_epilogue_u8(context, args);
    return context.scale(context.output());
  }
  set_epilogue_f32(context, args);
  args.output = kernels::Output::f32;
  return 1;
}

}  // namespace quaver
