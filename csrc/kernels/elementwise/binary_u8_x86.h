// binary_u8 by blocks of bytes; division stays with the plain loops.
#pragma once

#include "kernels/bytes_x86.h"
#include "kernels/elementwise/binary_loops.h"

namespace quaver::kernels {
namespace {

// One operand as blocks: a single number is spread over a block of its own, which every block then reads.
struct ByteRun {
  ByteRun(const std::uint8_t* p, std::size_t step, std::size_t n) : p(p), step(step) {
    if (step == 0) {
      __builtin_memset(own, *p, kBlock);
    } else if (n < kBlock) {
      __builtin_memcpy(own, p, n);
    }
    if (step == 0 || n < kBlock) this->p = own;
  }
  const std::uint8_t* p;
  std::size_t step;
  alignas(64) std::uint8_t own[kBlock] = {};
};

template <class F>
inline void zip_block(const std::uint8_t* a, const std::uint8_t* b, std::uint8_t* c, ByteBounds out, F f) {
  Floats t[4];
#pragma GCC unroll 4
  for (std::size_t v = 0; v < 4; ++v) t[v] = f(load_bytes(a + v * kLanes), load_bytes(b + v * kLanes));
  store_bytes(c, t, out);
}

template <class F>
void zip_bytes(const BinaryU8Args& args, F f) {
  const std::size_t n = args.n;
  if (n == 0) return;
  const ByteBounds out(args.zero, args.lo, args.hi);
  const ByteRun a(args.a, args.a_step, n), b(args.b, args.b_step, n);
  if (n < kBlock) {
    std::uint8_t c[kBlock];
    zip_block(a.p, b.p, c, out, f);
    __builtin_memcpy(args.c, c, n);
  } else {
    each_block(n, [&](std::size_t i) { zip_block(a.p + i * a.step, b.p + i * b.step, args.c + i, out, f); });
  }
}

void binary_u8_x86(const BinaryU8Args& args) {
  const std::int32_t za = args.a_zero, zb = args.b_zero;
  const float ka = args.ka, kb = args.kb;
  switch (args.op) {
    case BinaryU8Op::add:
      return zip_bytes(args, [=](Ints a, Ints b) { return to_floats(a - za) * ka + to_floats(b - zb) * kb; });
    case BinaryU8Op::mul: return zip_bytes(args, [=](Ints a, Ints b) { return to_floats((a - za) * (b - zb)) * ka; });
    case BinaryU8Op::div: return binary_u8(args);
  }
}

}  // namespace
}  // namespace quaver::kernels
