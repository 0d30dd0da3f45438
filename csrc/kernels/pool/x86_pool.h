// Pooling on x86 vectors. A pixel's channels are walked in blocks of kN vectors whose accumulators stay in registers
// over all taps; the last block overlaps the one before it, so no kernel reads or writes past a row.
#pragma once

#include "kernels/pool/lists.h"
#include "kernels/pool/x86_vec.h"

namespace quaver::kernels {
namespace {

using Byte = unsigned char;

// Calls use(row's address) for each valid tap of [first, last).
template <class Use>
inline void each_tap(const Byte* a, const std::int32_t* offsets, std::size_t first, std::size_t last, Use use) {
  for (std::size_t t = first; t < last; ++t) {
    if (offsets[t] != kPad) use(a + offsets[t]);
  }
}

struct MaxU8 {
  static constexpr std::size_t kElement = 1;
  static constexpr int kBlock = 4;

  template <class V, int kN>
  static void block(const PoolArgs& args, std::size_t i, const Byte* a, Byte* c) {
    typename V::I y[kN];
#pragma GCC unroll 8
    for (int v = 0; v < kN; ++v) y[v] = V::zero();
    each_tap(a, args.offsets + i * args.taps, 0, args.taps, [&](const Byte* x) {
#pragma GCC unroll 8
      for (int v = 0; v < kN; ++v) y[v] = V::max_u8(y[v], V::load(x + v * V::kBytes));
    });
#pragma GCC unroll 8
    for (int v = 0; v < kN; ++v) V::store(c + v * V::kBytes, y[v]);
  }
};

struct MaxF32 {
  static constexpr std::size_t kElement = 4;
  static constexpr int kBlock = 4;

  template <class V, int kN>
  static void block(const PoolArgs& args, std::size_t i, const Byte* a, Byte* c) {
    typename V::F y[kN];
#pragma GCC unroll 8
    for (int v = 0; v < kN; ++v) y[v] = V::all_f(-__builtin_inff());
    each_tap(a, args.offsets + i * args.taps, 0, args.taps, [&](const Byte* x) {
#pragma GCC unroll 8
      for (int v = 0; v < kN; ++v) y[v] = V::max_f(V::load_f(x + v * V::kBytes), y[v]);
    });
#pragma GCC unroll 8
    for (int v = 0; v < kN; ++v) V::store_f(c + v * V::kBytes, y[v]);
  }
};

struct AverageF32 {
  static constexpr std::size_t kElement = 4;
  static constexpr int kBlock = 4;

  template <class V, int kN>
  static void block(const PoolArgs& args, std::size_t i, const Byte* a, Byte* c) {
    typename V::F y[kN];
#pragma GCC unroll 8
    for (int v = 0; v < kN; ++v) y[v] = V::all_f(0);
    each_tap(a, args.offsets + i * args.taps, 0, args.taps, [&](const Byte* x) {
#pragma GCC unroll 8
      for (int v = 0; v < kN; ++v) y[v] = V::add_f(y[v], V::load_f(x + v * V::kBytes));
    });
    const auto divisor = V::all_f(args.divisor[i]);
#pragma GCC unroll 8
    for (int v = 0; v < kN; ++v) V::store_f(c + v * V::kBytes, V::div_f(y[v], divisor));
  }
};

struct AverageU8 {
  static constexpr std::size_t kElement = 1;
  static constexpr int kBlock = 2;
  static constexpr std::size_t kRun = 256;  // taps whose sum fits 16 bits: 256 · 255 < 2^16

  template <class V, int kN>
  static void block(const PoolArgs& args, std::size_t i, const Byte* a, Byte* c) {
    typename V::I sum[kN * 4];
#pragma GCC unroll 8
    for (int v = 0; v < kN * 4; ++v) sum[v] = V::zero();
    std::int32_t valid = 0;
    for (std::size_t t = 0; t < args.taps; t += kRun) {
      const std::size_t last = args.taps - t < kRun ? args.taps : t + kRun;
      valid += add_run<V, kN>(args, a, args.offsets + i * args.taps, t, last, sum);
    }
    const auto zero = V::all_32(valid * args.a_zero);
#pragma GCC unroll 8
    for (int v = 0; v < kN; ++v) V::store(c + v * V::kBytes, requantize<V>(args, args.mul[i], zero, sum + v * 4));
  }

  template <class V, int kN>
  static std::int32_t add_run(const PoolArgs&, const Byte* a, const std::int32_t* offsets, std::size_t first,
                              std::size_t last, typename V::I* sum) {
    typename V::I low[kN], high[kN];
#pragma GCC unroll 8
    for (int v = 0; v < kN; ++v) low[v] = high[v] = V::zero();
    std::int32_t valid = 0;
    each_tap(a, offsets, first, last, [&](const Byte* row) {
      ++valid;
#pragma GCC unroll 8
      for (int v = 0; v < kN; ++v) {
        const auto x = V::load(row + v * V::kBytes);
        low[v] = V::add_16(low[v], V::low_8(x));
        high[v] = V::add_16(high[v], V::high_8(x));
      }
    });
#pragma GCC unroll 8
    for (int v = 0; v < kN; ++v) {
      sum[v * 4] = V::add_32(sum[v * 4], V::low_16(low[v]));
      sum[v * 4 + 1] = V::add_32(sum[v * 4 + 1], V::high_16(low[v]));
      sum[v * 4 + 2] = V::add_32(sum[v * 4 + 2], V::low_16(high[v]));
      sum[v * 4 + 3] = V::add_32(sum[v * 4 + 3], V::high_16(high[v]));
    }
    return valid;
  }

  template <class V>
  static typename V::I requantize(const PoolArgs& args, float mul, typename V::I zero, const typename V::I* sum) {
    typename V::I q[4];
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      auto y = V::mul_f(V::to_float(V::sub_32(sum[k], zero)), V::all_f(mul));
      y = V::min_f(V::max_f(y, V::all_f(args.lo)), V::all_f(args.hi));
      q[k] = V::add_32(V::round(y), V::all_32(args.zero));
    }
    return V::pack_16(V::pack_32(q[0], q[1]), V::pack_32(q[2], q[3]));
  }
};

template <class V, class Body>
inline void pool_pixels(const PoolArgs& args) {
  constexpr std::size_t kWide = V::kBytes * Body::kBlock;
  const std::size_t bytes = args.channels * Body::kElement;
  const auto* a = static_cast<const Byte*>(args.a);
  for (std::size_t i = 0; i < args.pixels; ++i) {
    auto* c = static_cast<Byte*>(args.c) + i * args.c_stride;
    std::size_t j = 0;
    for (; j + kWide <= bytes; j += kWide) Body::template block<V, Body::kBlock>(args, i, a + j, c + j);
    for (; j + V::kBytes <= bytes; j += V::kBytes) Body::template block<V, 1>(args, i, a + j, c + j);
    if (j < bytes) Body::template block<V, 1>(args, i, a + bytes - V::kBytes, c + bytes - V::kBytes);
  }
}

// The widest vector that a row fills; less than the narrowest is left to the scalar kernel.
template <class Body, PoolKind kKind>
inline void pool(const PoolArgs& args) {
  const std::size_t bytes = args.channels * Body::kElement;
#if defined(__AVX512BW__)
  if (bytes >= Vec512::kBytes) return pool_pixels<Vec512, Body>(args);
#endif
  if (bytes >= Vec256::kBytes) return pool_pixels<Vec256, Body>(args);
  if (bytes >= Vec128::kBytes) return pool_pixels<Vec128, Body>(args);
  kPoolScalar[static_cast<int>(kKind)].run(args);
}

}  // namespace
}  // namespace quaver::kernels

#define QUAVER_POOL_KERNELS(isa)                                                                             \
  {                                                                                                          \
      {"pool_max_u8_" #isa, Isa::isa, PoolKind::max_u8, &pool<MaxU8, PoolKind::max_u8>},                     \
      {"pool_max_f32_" #isa, Isa::isa, PoolKind::max_f32, &pool<MaxF32, PoolKind::max_f32>},                 \
      {"pool_average_u8_" #isa, Isa::isa, PoolKind::average_u8, &pool<AverageU8, PoolKind::average_u8>},     \
      {"pool_average_f32_" #isa, Isa::isa, PoolKind::average_f32, &pool<AverageF32, PoolKind::average_f32>}, \
  }
