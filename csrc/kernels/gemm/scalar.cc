// The definition of all products. Never optimised: every other kernel is tested against it to the bit.
#include "kernels/gemm/bf16.h"
#include "kernels/gemm/rows.h"
#include "kernels/gemm/variants.h"
#include "kernels/rounding.h"

namespace quaver::kernels {
namespace {

constexpr std::size_t kPanel = 16;

template <class T>
T& at(const void* base, std::size_t stride, std::size_t i, std::size_t j) {
  return reinterpret_cast<T*>(const_cast<char*>(static_cast<const char*>(base)) + i * stride)[j];
}

// Unsigned, because the sum wraps.
std::int32_t accumulate(const GemmU8Args& g, std::size_t i, std::size_t j) {
  std::uint32_t acc = g.bias[j];
  const std::size_t quads = ceil_div(g.k, 4);
  for (std::size_t t = 0; t < g.taps; ++t) {
    const std::uint8_t* a = row_of<std::uint8_t>(g, i, t);
    for (std::size_t p = 0; p < g.k; ++p) {
      const std::size_t quad = (j / kPanel * g.taps + t) * quads + p / 4;
      acc += a[p] * g.w[quad * 64 + j % kPanel * 4 + p % 4];
    }
  }
  if (g.row_sum) acc -= static_cast<std::uint32_t>(g.row_sum[i]) * static_cast<std::uint32_t>(g.col_zero[j]);
  return static_cast<std::int32_t>(acc);
}

float requantize(const GemmU8Args& g, std::int32_t acc, std::size_t i, std::size_t j) {
  float y = static_cast<float>(acc) * g.scale[j];
  y = clamp_through(y, g.pre_lo, g.pre_hi);
  if (g.r) {
    const float step = static_cast<float>(at<std::uint8_t>(g.r, g.r_stride, i, j) - g.r_zero) * g.r_scale;
    y = y + step;
  }
  return clamp_through(y, g.lo, g.hi);
}

void run_u8(const GemmU8Args& g) {
  for (std::size_t i = 0; i < g.m; ++i) {
    for (std::size_t j = 0; j < g.n; ++j) {
      const std::int32_t acc = accumulate(g, i, j);
      if (g.output == Output::i32) {
        at<std::int32_t>(g.c, g.c_stride, i, j) = acc;
      } else if (g.output == Output::f32) {
        const float y = requantize(g, acc, i, j);
        at<float>(g.c, g.c_stride, i, j) = g.shift ? y + g.shift[j] : y;
      } else {
        const long rounded = __builtin_lrintf(requantize(g, acc, i, j));
        at<std::uint8_t>(g.c, g.c_stride, i, j) = static_cast<std::uint8_t>(rounded + g.zero);
      }
    }
  }
}

float accumulate(const GemmF32Args& g, std::size_t i, std::size_t j) {
  float y = g.bias[j], s = 0;
  std::size_t count = 0;
  for (std::size_t t = 0; t < g.taps; ++t) {
    const float* a = row_of<float>(g, i, t);
    const float* w = g.w + (j / kPanel * g.taps + t) * g.k * kPanel + j % kPanel;
    for (std::size_t p = 0; p < g.k; ++p, ++count) {
      if (count > 0 && count % kStretch == 0) y = y + s, s = 0;
      s = __builtin_fmaf(a[p], w[p * kPanel], s);
    }
  }
  return y + s;
}

void run_f32(const GemmF32Args& g) {
  for (std::size_t i = 0; i < g.m; ++i) {
    for (std::size_t j = 0; j < g.n; ++j) {
      float y = clamp_through(accumulate(g, i, j), g.pre_lo, g.pre_hi);
      if (g.r) y = y + at<float>(g.r, g.r_stride, i, j);
      at<float>(g.c, g.c_stride, i, j) = clamp_through(y, g.lo, g.hi);
    }
  }
}

float accumulate(const GemmBf16Args& g, std::size_t i, std::size_t j) {
  const std::size_t tap_pairs = ceil_div(g.k, 2), pairs = g.taps * tap_pairs;
  const std::uint16_t* w = g.w + j / kPanel * packed_count_bf16(1, g.taps, g.k) + j % kPanel * 2;
  float y = flushed(g.bias[j]), s[2] = {};
  for (std::size_t q = 0; q < bf16_stretches(g.taps, g.k) * kBf16Pairs; ++q) {
    const std::size_t p = q % tap_pairs * 2;
    const std::uint16_t* a = q < pairs ? row_of<std::uint16_t>(g, i, q / tap_pairs) : nullptr;
    float& sum = s[q / kBf16Chain % 2];
    sum = fma_flushed(a && p + 1 < g.k ? from_bf16(a[p + 1]) : 0.0F, from_bf16(w[bf16_place(q, 1)]), sum);
    sum = fma_flushed(a ? from_bf16(a[p]) : 0.0F, from_bf16(w[bf16_place(q, 0)]), sum);
    if (q % kBf16Pairs == kBf16Pairs - 1) y = flushed(y + flushed(s[0] + s[1])), s[0] = s[1] = 0;
  }
  return y;
}

void run_bf16(const GemmBf16Args& g) {
  for (std::size_t i = 0; i < g.m; ++i) {
    for (std::size_t j = 0; j < g.n; ++j) {
      float y = clamp_through(accumulate(g, i, j), flushed(g.pre_lo), flushed(g.pre_hi));
      if (g.r) y = flushed(y + flushed(at<float>(g.r, g.r_stride, i, j)));
      at<float>(g.c, g.c_stride, i, j) = clamp_through(y, flushed(g.lo), flushed(g.hi));
    }
  }
}

void round_all(const float* x, std::size_t n, std::uint16_t* out) {
  for (std::size_t i = 0; i < n; ++i) out[i] = round_bf16(x[i]);
}

}  // namespace

const GemmU8Kernel gemm_u8_scalar = {"gemm_u8_scalar", Isa::scalar, {}, 1, 16, run_u8};
const GemmF32Kernel gemm_f32_scalar = {"gemm_f32_scalar", Isa::scalar, 1, 16, run_f32};
const GemmBf16Kernel gemm_bf16_scalar = {"gemm_bf16_scalar", Isa::scalar, 1, 16, run_bf16, round_all};

}  // namespace quaver::kernels
