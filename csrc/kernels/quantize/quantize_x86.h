// quantize_f32 by blocks of bytes, and the range of floats; scales whose inverses nobody has stay with the plain loops.
//
// A product with 1 / scale takes a tenth of a division's time. Where it is within 256, and so where a byte depends on
// it, it is at most 2^-15 off the quotient, whose own rounding is 2^-17: both round to the same integer unless one is
// that near to the middle between two. Such blocks are divided.
#pragma once

#include "kernels/bytes_x86.h"
#include "kernels/quantize/loops.h"

namespace quaver::kernels {
namespace {

constexpr float kMiddle = 0.5F - 0x1p-14F;

// A NaN counts as 0.
inline Floats known(Floats t) { return (Floats)((Ints)t & (t == t)); }

inline Floats distance_from_integer(Floats t) { return (Floats)((Ints)(t - rounded(t)) & 0x7FFFFFFF); }

// scale(i) and inverse(i): of the elements from i on.
template <class Scale, class Inverse>
void quantize_blocks(const QuantizeArgs& args, Scale scale, Inverse inverse) {
  const ByteBounds out(*args.zero_point, 0, 255, args.flip);
  each_block(args.n, [&](std::size_t i) {
    Floats t[4], middle = {};
#pragma GCC unroll 4
    for (std::size_t v = 0; v < 4; ++v) {
      t[v] = load_floats(args.x + i + v * kLanes) * inverse(i + v * kLanes);
      middle = greater(distance_from_integer(t[v]), middle);
      t[v] = known(t[v]);
    }
    if (any_above(middle, splat(kMiddle))) {
#pragma GCC unroll 4
      for (std::size_t v = 0; v < 4; ++v) {
        t[v] = known(load_floats(args.x + i + v * kLanes) / scale(i + v * kLanes));
      }
    }
    store_bytes(args.y + i, t, out);
  });
}

void quantize_x86(const QuantizeArgs& args);

// Fewer than a block, as one that is filled up.
void quantize_short(QuantizeArgs args) {
  float x[kBlock] = {}, scale[kBlock], inverse[kBlock];
  std::uint8_t y[kBlock];
  const std::size_t n = args.n, numbers = args.step ? n : 1;
  for (std::size_t i = numbers; i < kBlock; ++i) scale[i] = inverse[i] = 1;
  __builtin_memcpy(x, args.x, n * sizeof *x);
  __builtin_memcpy(scale, args.scale, numbers * sizeof *scale);
  if (args.inverse) __builtin_memcpy(inverse, args.inverse, numbers * sizeof *inverse);
  std::uint8_t* const to = args.y;
  args.n = kBlock, args.x = x, args.scale = scale, args.y = y;
  if (args.inverse) args.inverse = inverse;
  quantize_x86(args);
  __builtin_memcpy(to, y, n);
}

void quantize_x86(const QuantizeArgs& args) {
  if (args.step && !args.inverse) return quantize_f32(args);
  if (args.n < kBlock) return quantize_short(args);
  if (args.step) {
    const auto at = [](const float* numbers) { return [=](std::size_t i) { return load_floats(numbers + i); }; };
    return quantize_blocks(args, at(args.scale), at(args.inverse));
  }
  const float scale = *args.scale;
  // Otherwise 1 / scale may have lost digits.
  if (!(scale > 0x1p-100F && scale < 0x1p100F)) return quantize_f32(args);
  const auto all = [](float number) { return [=](std::size_t) { return splat(number); }; };
  quantize_blocks(args, all(scale), all(1.0F / scale));
}

// Four vectors at a time, so that none waits for the one before.
void range_x86(const RangeArgs& args) {
  Floats low[4] = {}, high[4] = {};
  std::size_t i = 0;
  for (; i + kBlock <= args.n; i += kBlock) {
#pragma GCC unroll 4
    for (std::size_t v = 0; v < 4; ++v) {
      const Floats x = load_floats(args.x + i + v * kLanes);
      low[v] = lesser(x, low[v]), high[v] = greater(x, high[v]);
    }
  }
  const Floats least = lesser(lesser(low[0], low[1]), lesser(low[2], low[3]));
  const Floats most = greater(greater(high[0], high[1]), greater(high[2], high[3]));
  float lo = -greatest(-least), hi = greatest(most);
  for (; i < args.n; ++i) {
    lo = args.x[i] < lo ? args.x[i] : lo;
    hi = args.x[i] > hi ? args.x[i] : hi;
  }
  *args.least = lo == 0 ? 0 : lo;  // not −0, which the sign turned twice may have left
  *args.greatest = hi;
}

}  // namespace
}  // namespace quaver::kernels
