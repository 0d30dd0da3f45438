#include "kernels/resize/lists.h"
#include "kernels/rounding.h"

namespace quaver::kernels {
namespace {

float input(const ResizeArgs& args, const std::uint8_t* pixel, std::size_t j) {
  return static_cast<float>(pixel[j] - args.a_zero);
}

float input(const ResizeArgs&, const float* pixel, std::size_t j) { return pixel[j]; }

template <class T>
float interpolate(const ResizeArgs& args, std::size_t i, std::size_t j) {
  float y = 0;
  for (std::size_t r = 0; r < args.taps; ++r) {
    float h = 0;
    for (std::size_t t = 0; t < args.taps; ++t) {
      const auto* pixel = static_cast<const unsigned char*>(args.rows[r]) + args.columns[i * args.taps + t];
      const float term = input(args, reinterpret_cast<const T*>(pixel), j) * args.wx[i * args.taps + t];
      h = t == 0 ? term : h + term;
    }
    y = r == 0 ? h * args.wy[r] : y + h * args.wy[r];
  }
  return y;
}

void resize_u8(const ResizeArgs& args) {
  auto* c = static_cast<std::uint8_t*>(args.c);
  for (std::size_t i = 0; i < args.width; ++i) {
    for (std::size_t j = 0; j < args.channels; ++j) {
      const float y = clamp_to(interpolate<std::uint8_t>(args, i, j) * args.mul, args.lo, args.hi);
      c[i * args.channels + j] = static_cast<std::uint8_t>(round_even(y) + args.zero);
    }
  }
}

void resize_f32(const ResizeArgs& args) {
  auto* c = static_cast<float*>(args.c);
  for (std::size_t i = 0; i < args.width; ++i) {
    for (std::size_t j = 0; j < args.channels; ++j) c[i * args.channels + j] = interpolate<float>(args, i, j);
  }
}

}  // namespace

const ResizeKernel kResizeScalar[kResizeKinds] = {
    {"resize_u8_scalar", Isa::scalar, ResizeKind::u8, &resize_u8},
    {"resize_f32_scalar", Isa::scalar, ResizeKind::f32, &resize_f32},
};

}  // namespace quaver::kernels
