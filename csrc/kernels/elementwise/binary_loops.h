// The loops behind binary.h, written once and compiled for each instruction set: elements are independent, so
// vectorizing them changes no bit.
#pragma once

#include "kernels/elementwise/binary.h"
#include "kernels/elementwise/zip.h"
#include "kernels/rounding.h"

namespace quaver::kernels {
namespace {

template <class F>
void zip_f32(const BinaryF32Args& args, F f) {
  const float lo = args.lo, hi = args.hi;
  zip(args.n, args.a, args.a_step, args.b, args.b_step, args.c,
      [=](float a, float b) { return clamp_through(f(a, b), lo, hi); });
}

void binary_f32(const BinaryF32Args& args) {
  switch (args.op) {
    case BinaryF32Op::add: return zip_f32(args, [](float a, float b) { return a + b; });
    case BinaryF32Op::sub: return zip_f32(args, [](float a, float b) { return a - b; });
    case BinaryF32Op::mul: return zip_f32(args, [](float a, float b) { return a * b; });
    case BinaryF32Op::div: return zip_f32(args, [](float a, float b) { return a / b; });
    case BinaryF32Op::prelu: return zip_f32(args, [](float a, float b) { return a < 0 ? a * b : a; });
    case BinaryF32Op::max: return zip_f32(args, [](float a, float b) { return a > b || a != a ? a : b; });
    case BinaryF32Op::min: return zip_f32(args, [](float a, float b) { return a < b || a != a ? a : b; });
  }
}

// f gives t of the two integers a' and b'.
template <class F>
void zip_u8(const BinaryU8Args& args, F f) {
  const std::int32_t za = args.a_zero, zb = args.b_zero;
  const ToByte to_byte(args.zero, args.lo, args.hi);
  zip(args.n, args.a, args.a_step, args.b, args.b_step, args.c,
      [=](std::uint8_t a, std::uint8_t b) { return to_byte(f(a - za, b - zb)); });
}

void binary_u8(const BinaryU8Args& args) {
  using std::int32_t;
  const float ka = args.ka, kb = args.kb, ky = args.ky;
  switch (args.op) {
    case BinaryU8Op::add:
      return zip_u8(args,
                    [=](int32_t a, int32_t b) { return static_cast<float>(a) * ka + static_cast<float>(b) * kb; });
    case BinaryU8Op::mul: return zip_u8(args, [=](int32_t a, int32_t b) { return static_cast<float>(a * b) * ka; });
    case BinaryU8Op::div:
      return zip_u8(args, [=](int32_t a, int32_t b) {
        const float t = (static_cast<float>(a) * ka) / (static_cast<float>(b) * kb) / ky;
        return a == 0 ? 0.0F : t;
      });
  }
}

void prelu_u8(const PreluU8Args& args) {
  const std::int32_t za = args.a_zero;
  const float ka = args.ka;
  const ToByte to_byte(args.zero, args.lo, args.hi);
  zip(args.n, args.a, args.a_step, args.b, args.b_step, args.c, [=](std::uint8_t a, float slope) {
    const float t = static_cast<float>(a - za) * ka;
    return to_byte(a < za ? t * slope : t);
  });
}

}  // namespace
}  // namespace quaver::kernels
