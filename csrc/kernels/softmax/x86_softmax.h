// Softmax as passes over a row, written for any vector width.
#pragma once

#include "kernels/bytes_x86.h"
#include "kernels/rounding.h"
#include "kernels/softmax/exp_x86.h"
#include "kernels/softmax/lists.h"

namespace quaver::kernels {
namespace {

// Row i as reals: where it lies, or in x.
const float* reals_of(const SoftmaxArgs& args, std::size_t i, float* __restrict x) {
  if (!args.a_u8) return static_cast<const float*>(args.a) + i * args.n;
  const std::uint8_t* a = static_cast<const std::uint8_t*>(args.a) + i * args.n;
  const std::int32_t zero = args.a_zero;
  const float scale = args.a_scale;
  for (std::size_t j = 0; j < args.n; ++j) x[j] = static_cast<float>(a[j] - zero) * scale;
  return x;
}

void store_row(const SoftmaxArgs& args, std::size_t i, float factor, const float* __restrict e) {
  if (!args.c_u8) {
    float* c = static_cast<float*>(args.c) + i * args.n;
    for (std::size_t j = 0; j < args.n; ++j) c[j] = e[j] * factor;
    return;
  }
  std::uint8_t* c = static_cast<std::uint8_t*>(args.c) + i * args.n;
  const float mul = args.mul, lo = args.lo, hi = args.hi;
  const std::int32_t zero = args.zero;
  for (std::size_t j = 0; j < args.n; ++j) {
    c[j] = static_cast<std::uint8_t>(round_even(clamp_to(e[j] * factor * mul, lo, hi)) + zero);
  }
}

// Some columns side by side, in the compiler's vectors: loops over them it would unroll before it vectorizes.
constexpr std::size_t kColumns = kLanes;
static_assert(kColumns <= kSoftmaxColumns);
typedef std::uint32_t Words __attribute__((vector_size(4 * kColumns)));
typedef std::uint8_t Bytes __attribute__((vector_size(kColumns)));

// `size` bytes, a vector or less.
template <class Vector>
inline void copy(void* to, const void* from, std::size_t size) {
  size == sizeof(Vector) ? __builtin_memcpy(to, from, sizeof(Vector)) : __builtin_memcpy(to, from, size);
}

inline Floats load_columns(const SoftmaxArgs& args, std::size_t j, std::size_t first, std::size_t width) {
  const std::size_t at = j * args.stride + first;
  if (!args.a_u8) {
    Floats x = {};
    copy<Floats>(&x, static_cast<const float*>(args.a) + at, width * sizeof(float));
    return x;
  }
  Bytes bytes = {};
  copy<Bytes>(&bytes, static_cast<const std::uint8_t*>(args.a) + at, width);
  return __builtin_convertvector(__builtin_convertvector(bytes, Ints) - args.a_zero, Floats) * args.a_scale;
}

inline void store_columns(const SoftmaxArgs& args, std::size_t j, std::size_t first, std::size_t width, Floats y) {
  const std::size_t at = j * args.stride + first;
  if (!args.c_u8) {
    copy<Floats>(static_cast<float*>(args.c) + at, &y, width * sizeof(float));
    return;
  }
  const Floats lo = Floats{} + args.lo, hi = Floats{} + args.hi;
  Floats t = y * args.mul;
  t = t > lo ? t : lo;
  t = t < hi ? t : hi;
  const Words rounded = (Words)(t + kRound) - __builtin_bit_cast(std::uint32_t, kRound);
  const Bytes bytes = __builtin_convertvector(rounded + static_cast<std::uint32_t>(args.zero), Bytes);
  copy<Bytes>(static_cast<std::uint8_t*>(args.c) + at, &bytes, width);
}

inline Floats row_of(const float* x, std::size_t j) {
  Floats row;
  __builtin_memcpy(&row, x + j * kColumns, sizeof row);
  return row;
}

inline void set_row(float* x, std::size_t j, Floats row) { __builtin_memcpy(x + j * kColumns, &row, sizeof row); }

// The sums of each column in 16 lanes, as sum_of takes them.
inline Floats exponentials(std::size_t n, float* x) {
  Floats m = Floats{} - __builtin_inff(), s[kVirtualLanes] = {};
  for (std::size_t j = 0; j < n; ++j) {
    const Floats row = row_of(x, j);
    m = row > m ? row : m;
  }
  for (std::size_t j = 0; j < n; ++j) {
    const Floats e = exp_lanes(row_of(x, j) - m);
    set_row(x, j, e);
    s[j % kVirtualLanes] = s[j % kVirtualLanes] + e;
  }
  for (std::size_t h = kVirtualLanes / 2; h > 0; h /= 2) {
    for (std::size_t v = 0; v < h; ++v) s[v] = s[v] + s[v + h];
  }
  return s[0];
}

void softmax_columns(const SoftmaxArgs& args) {
  float* x = args.scratch;
  for (std::size_t first = 0; first < args.columns; first += kColumns) {
    const std::size_t width = args.columns - first < kColumns ? args.columns - first : kColumns;
    for (std::size_t j = 0; j < args.n; ++j) set_row(x, j, load_columns(args, j, first, width));
    const Floats factor = 1.0F / exponentials(args.n, x);
    for (std::size_t j = 0; j < args.n; ++j) store_columns(args, j, first, width, row_of(x, j) * factor);
  }
}

// e[j] = exp(x[j] − m), and their sum in 16 lanes; e may be x.
float exponentials_of_row(const float* x, std::size_t n, float m, float* e) {
  LaneSums sums;
  std::size_t j = 0;
  for (; j + kVirtualLanes <= n; j += kVirtualLanes) {
#pragma GCC unroll 4
    for (std::size_t v = 0; v < LaneSums::kVectors; ++v) {
      const std::size_t at = (j / kLanes) + v;
      const Floats y = exp_lanes(row_of(x, at) - m);
      set_row(e, at, y);
      sums.v[v] = sums.v[v] + y;
    }
  }
  for (std::size_t l = 0; j < n; ++j, ++l) {
    e[j] = exp_negative(x[j] - m);
    sums.add_one(l, e[j]);
  }
  return sums.sum();
}

void softmax(const SoftmaxArgs& args) {
  if (args.columns > 0) return softmax_columns(args);
  for (std::size_t i = 0; i < args.rows; ++i) {
    const float* x = reals_of(args, i, args.scratch);
    const float sum = exponentials_of_row(x, args.n, max_of(x, args.n), args.scratch);
    store_row(args, i, 1.0F / sum, args.scratch);
  }
}

}  // namespace
}  // namespace quaver::kernels
