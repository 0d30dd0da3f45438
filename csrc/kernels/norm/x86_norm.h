// Layer normalization in three passes over a row, written for any vector width. Internal linkage.
#pragma once

#include "kernels/bytes_x86.h"
#include "kernels/norm/lists.h"
#include "kernels/rounding.h"

namespace quaver::kernels {
namespace {

enum class From { nothing, floats, bytes };

inline From kind_of(const NormOperand& x) { return x.f32 ? From::floats : x.u8 ? From::bytes : From::nothing; }

template <From kFrom>
inline Floats reals(const NormOperand& x, std::size_t at) {
  if constexpr (kFrom == From::floats) return load_floats(x.f32 + at);
  return to_floats(load_bytes(x.u8 + at) - x.zero) * x.scale;
}

template <From kFrom>
inline float real(const NormOperand& x, std::size_t at) {
  if constexpr (kFrom == From::floats) return x.f32[at];
  return static_cast<float>(x.u8[at] - x.zero) * x.scale;
}

// The row as reals, the residual added, and their sum.
template <From kA, From kR>
float take(const LayerNormArgs& args, std::size_t at, float* x) {
  LaneSums sums;
  std::size_t j = 0;
  for (; j + kVirtualLanes <= args.n; j += kVirtualLanes) {
#pragma GCC unroll 2
    for (std::size_t v = 0; v < LaneSums::kVectors; ++v) {
      const std::size_t i = j + v * kLanes;
      Floats y = reals<kA>(args.a, at + i);
      if constexpr (kR != From::nothing) y = y + reals<kR>(args.r, at + i);
      __builtin_memcpy(x + i, &y, sizeof y);
      sums.v[v] = sums.v[v] + y;
    }
  }
  for (std::size_t lane = 0; j < args.n; ++j, ++lane) {
    x[j] = real<kA>(args.a, at + j);
    if constexpr (kR != From::nothing) x[j] = x[j] + real<kR>(args.r, at + j);
    sums.add_one(lane, x[j]);
  }
  return sums.sum();
}

using Take = float (*)(const LayerNormArgs&, std::size_t, float*);

template <From kA>
Take taking(From r) {
  if (r == From::nothing) return &take<kA, From::nothing>;
  return r == From::floats ? &take<kA, From::floats> : &take<kA, From::bytes>;
}

inline float squares_of(const float* x, std::size_t n, float mean) {
  LaneSums squares;
  std::size_t j = 0;
  for (; j + kVirtualLanes <= n; j += kVirtualLanes) {
#pragma GCC unroll 2
    for (std::size_t v = 0; v < LaneSums::kVectors; ++v) {
      const Floats d = load_floats(x + j + v * kLanes) - mean;
      squares.v[v] = squares.v[v] + d * d;
    }
  }
  for (std::size_t lane = 0; j < n; ++j, ++lane) squares.add_one(lane, (x[j] - mean) * (x[j] - mean));
  return squares.sum();
}

// What becomes of a row at x, with its mean and the factor that brings its variance to 1.
struct Finish {
  const LayerNormArgs& args;
  ByteBounds bounds;
  float mean = 0, unit = 0;

  explicit Finish(const LayerNormArgs& args)
      : args(args),
        bounds(args.zero, static_cast<std::int32_t>(args.lo) + args.zero,
               static_cast<std::int32_t>(args.hi) + args.zero) {}

  // With bytes, or a row of floats alone.
  template <bool kBytes, bool kFactor>
  void run(const float* x, float* c, std::uint8_t* b) const {
    std::size_t j = 0;
    for (; j + kBlock <= args.n; j += kBlock) {
      Floats t[4];
#pragma GCC unroll 4
      for (std::size_t v = 0; v < 4; ++v) {
        const std::size_t i = j + v * kLanes;
        t[v] = (load_floats(x + i) - mean) * unit * load_floats(args.gamma + i) + load_floats(args.beta + i);
        if (c) __builtin_memcpy(c + i, &t[v], sizeof t[v]);
        if (kFactor) t[v] = t[v] * load_floats(args.factor + i);
        if (kBytes) t[v] = t[v] * args.mul;
      }
      if (kBytes) store_bytes(b + j, t, bounds);
    }
    for (; j < args.n; ++j) {
      const float y = (x[j] - mean) * unit * args.gamma[j] + args.beta[j];
      if (c) c[j] = y;
      if (!kBytes) continue;
      const float t = kFactor ? y * args.factor[j] : y;
      b[j] = static_cast<std::uint8_t>(round_even(clamp_to(t * args.mul, args.lo, args.hi)) + args.zero);
    }
  }
};

void layer_norm(const LayerNormArgs& args) {
  const std::size_t n = args.n;
  const auto size = static_cast<float>(n);
  const Take take =
      kind_of(args.a) == From::floats ? taking<From::floats>(kind_of(args.r)) : taking<From::bytes>(kind_of(args.r));
  Finish finish(args);
  for (std::size_t i = 0; i < args.rows; ++i) {
    float* x = args.scratch;
    finish.mean = take(args, i * n, x) / size;
    finish.unit = 1.0F / __builtin_sqrtf(squares_of(x, n, finish.mean) / size + args.epsilon);
    float* c = args.c ? args.c + i * n : nullptr;
    if (!args.b) {
      finish.run<false, false>(x, c, nullptr);
    } else if (args.factor) {
      finish.run<true, true>(x, c, args.b + i * n);
    } else {
      finish.run<true, false>(x, c, args.b + i * n);
    }
  }
}

}  // namespace
}  // namespace quaver::kernels
