// quantize_f32 by blocks of bytes; short runs and per-channel ones stay with the plain loops.
#pragma once

#include "kernels/bytes_x86.h"
#include "kernels/quantize/loops.h"

namespace quaver::kernels {
namespace {

void quantize_x86(const QuantizeArgs& args) {
  if (args.step || args.n < kBlock) return quantize_f32(args);
  const float scale = *args.scale;
  const ByteBounds out(*args.zero_point, 0, 255, args.flip);
  each_block(args.n, [&](std::size_t i) {
    Floats t[4];
#pragma GCC unroll 4
    for (std::size_t v = 0; v < 4; ++v) {
      const Floats quotient = load_floats(args.x + i + v * kLanes) / scale;
      t[v] = (Floats)((Ints)quotient & (quotient == quotient));
    }
    store_bytes(args.y + i, t, out);
  });
}

}  // namespace
}  // namespace quaver::kernels
