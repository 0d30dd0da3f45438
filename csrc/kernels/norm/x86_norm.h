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

// R rows as reals, the residual added, and their sums. A sum waits for each addition: rows side by side do not.
template <From kA, From kR, int R>
void take(const LayerNormArgs& args, std::size_t at, float* x, float* sum) {
  const LayerNormArgs own = args;  // what no store may change
  const std::size_t n = own.n;
  LaneSums sums[R];
  std::size_t j = 0;
  for (; j + kVirtualLanes <= n; j += kVirtualLanes) {
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
      for (std::size_t v = 0; v < LaneSums::kVectors; ++v) {
        const std::size_t i = r * n + j + v * kLanes;
        Floats y = reals<kA>(own.a, at + i);
        if constexpr (kR != From::nothing) y = y + reals<kR>(own.r, at + i);
        store_floats(x + i, y);
        sums[r].v[v] = sums[r].v[v] + y;
      }
    }
  }
  for (int r = 0; r < R; ++r) {
    for (std::size_t k = j, lane = 0; k < n; ++k, ++lane) {
      float y = real<kA>(own.a, at + r * n + k);
      if constexpr (kR != From::nothing) y = y + real<kR>(own.r, at + r * n + k);
      x[r * n + k] = y;
      sums[r].add_one(lane, y);
    }
    sum[r] = sums[r].sum();
  }
}

template <int R>
using Take = void (*)(const LayerNormArgs&, std::size_t, float*, float*);

template <int R, From kA>
Take<R> taking(From r) {
  if (r == From::nothing) return &take<kA, From::nothing, R>;
  return r == From::floats ? &take<kA, From::floats, R> : &take<kA, From::bytes, R>;
}

template <int R>
Take<R> taking(const LayerNormArgs& args) {
  const From r = kind_of(args.r);
  return kind_of(args.a) == From::floats ? taking<R, From::floats>(r) : taking<R, From::bytes>(r);
}

// Σ (x − mean)² of R rows.
template <int R>
void squares_of(const float* x, std::size_t n, const float* mean, float* sum) {
  LaneSums squares[R];
  std::size_t j = 0;
  for (; j + kVirtualLanes <= n; j += kVirtualLanes) {
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
      for (std::size_t v = 0; v < LaneSums::kVectors; ++v) {
        const Floats d = load_floats(x + r * n + j + v * kLanes) - mean[r];
        squares[r].v[v] = squares[r].v[v] + d * d;
      }
    }
  }
  for (int r = 0; r < R; ++r) {
    for (std::size_t k = j, lane = 0; k < n; ++k, ++lane) {
      const float d = x[r * n + k] - mean[r];
      squares[r].add_one(lane, d * d);
    }
    sum[r] = squares[r].sum();
  }
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

// The rows [i, i + R).
template <int R>
void normalize(const LayerNormArgs& args, Take<R> take, Finish& finish, std::size_t i) {
  const std::size_t n = args.n;
  const auto size = static_cast<float>(n);
  float mean[R], squares[R];
  take(args, i * n, args.scratch, mean);
  for (int r = 0; r < R; ++r) mean[r] = mean[r] / size;
  squares_of<R>(args.scratch, n, mean, squares);
  for (int r = 0; r < R; ++r) {
    finish.mean = mean[r];
    finish.unit = 1.0F / __builtin_sqrtf(squares[r] / size + args.epsilon);
    const float* x = args.scratch + r * n;
    const std::size_t at = (i + r) * n;
    float* c = args.c ? args.c + at : nullptr;
    if (!args.b) {
      finish.run<false, false>(x, c, nullptr);
    } else if (args.factor) {
      finish.run<true, true>(x, c, args.b + at);
    } else {
      finish.run<true, false>(x, c, args.b + at);
    }
  }
}

void layer_norm(const LayerNormArgs& args) {
  constexpr int kRows = static_cast<int>(kNormRows);
  const Take<kRows> take_some = taking<kRows>(args);
  const Take<1> take_one = taking<1>(args);
  Finish finish(args);
  std::size_t i = 0;
  for (; i + kRows <= args.rows; i += kRows) normalize<kRows>(args, take_some, finish, i);
  for (; i < args.rows; ++i) normalize<1>(args, take_one, finish, i);
}

}  // namespace
}  // namespace quaver::kernels
