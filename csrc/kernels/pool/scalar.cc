#include "kernels/pool/lists.h"

namespace quaver::kernels {
namespace {

template <class T>
const T* row(const PoolArgs& args, std::int32_t offset) {
  return reinterpret_cast<const T*>(static_cast<const unsigned char*>(args.a) + offset);
}

template <class T>
T* out(const PoolArgs& args, std::size_t i) {
  return reinterpret_cast<T*>(static_cast<unsigned char*>(args.c) + i * args.c_stride);
}

template <class T>
void max(const PoolArgs& args, T least) {
  for (std::size_t i = 0; i < args.pixels; ++i) {
    T* c = out<T>(args, i);
    for (std::size_t j = 0; j < args.channels; ++j) c[j] = least;
    for (std::size_t t = 0; t < args.taps; ++t) {
      const std::int32_t offset = args.offsets[i * args.taps + t];
      if (offset == kPad) continue;
      const T* a = row<T>(args, offset);
      for (std::size_t j = 0; j < args.channels; ++j) c[j] = a[j] > c[j] ? a[j] : c[j];
    }
  }
}

void max_u8(const PoolArgs& args) { max<std::uint8_t>(args, 0); }
void max_f32(const PoolArgs& args) { max<float>(args, -__builtin_inff()); }

void average_u8(const PoolArgs& args) {
  for (std::size_t i = 0; i < args.pixels; ++i) {
    for (std::size_t j = 0; j < args.channels; ++j) {
      std::int32_t acc = 0;
      for (std::size_t t = 0; t < args.taps; ++t) {
        const std::int32_t offset = args.offsets[i * args.taps + t];
        if (offset != kPad) acc += row<std::uint8_t>(args, offset)[j] - args.a_zero;
      }
      float y = static_cast<float>(acc) * args.mul[i];
      y = y > args.lo ? y : args.lo;
      y = y < args.hi ? y : args.hi;
      out<std::uint8_t>(args, i)[j] = static_cast<std::uint8_t>(static_cast<int>(__builtin_rintf(y)) + args.zero);
    }
  }
}

void average_f32(const PoolArgs& args) {
  for (std::size_t i = 0; i < args.pixels; ++i) {
    float* c = out<float>(args, i);
    for (std::size_t j = 0; j < args.channels; ++j) c[j] = 0;
    for (std::size_t t = 0; t < args.taps; ++t) {
      const std::int32_t offset = args.offsets[i * args.taps + t];
      if (offset == kPad) continue;
      const float* a = row<float>(args, offset);
      for (std::size_t j = 0; j < args.channels; ++j) c[j] = c[j] + a[j];
    }
    for (std::size_t j = 0; j < args.channels; ++j) c[j] = c[j] / args.divisor[i];
  }
}

}  // namespace

const PoolKernel kPoolScalar[kPoolKinds] = {
    {"pool_max_u8_scalar", Isa::scalar, PoolKind::max_u8, &max_u8},
    {"pool_max_f32_scalar", Isa::scalar, PoolKind::max_f32, &max_f32},
    {"pool_average_u8_scalar", Isa::scalar, PoolKind::average_u8, &average_u8},
    {"pool_average_f32_scalar", Isa::scalar, PoolKind::average_f32, &average_f32},
};

}  // namespace quaver::kernels
