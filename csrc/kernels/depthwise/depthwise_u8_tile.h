// The u8 depthwise convolution for any instruction set that a trait T describes. Internal linkage, for kernel files.
//
// By runs of pixels and blocks of channels: first each column that the run sees is brought into quads (four rows of a
// channel side by side, as the weights lie), then groups of pixels multiply these with weights that stay in registers.
// However many pixels see a column, its bytes are brought together once.
//
//   T::V                             vectors (kernels/gemm/ymm.h …)
//   T::Bytes                         a block's channels: a vector of bytes
//   T::read_some(p, n)               n bytes of them, fewer than all, then anything
//   T::spread(taps, out, apart)      four rows to quads: vector v to out[v · apart]
//   T::Factor                        a vector of quads as products take it
//   T::data(quads), T::weights(w)    to factors
//   T::start(acc, weights)           what a sum has to start with besides the bias
//   T::multiply(acc, data, w, n)     acc += the products of the first n of each four, exact
//   T::kProducts                     instructions that it takes for all four
//   T::store(out, apart, y, limits)  kPixels vectors to bytes: rne(clamp(y)) + zero
#pragma once

#include "kernels/depthwise/variants.h"
#include "kernels/gemm/rows.h"
#include "kernels/rounding.h"

namespace quaver::kernels {
namespace {

constexpr int kPixels = 4;  // at once

// What a run may need: rows of columns, groups of four of them in columns and in the window; and its length.
constexpr std::size_t kMaxTaps = 512, kMaxGroups = 192, kMaxWeights = 128, kMaxPixels = 32;

template <class T>
constexpr std::size_t kBlock = sizeof(typename T::Bytes);  // channels

struct Limits {
  float lo, hi;                  // of bytes, or of floats
  std::int32_t zero, low, high;  // the least byte and the largest
};

// Without a residual between them, two clamps are one.
inline Limits limits_of(const DepthwiseU8Args& g) {
  Limits out{g.lo, g.hi, g.zero, 0, 255};
  if (!g.r) out.lo = clamp_through(g.pre_lo, g.lo, g.hi), out.hi = clamp_through(g.pre_hi, g.lo, g.hi);
  if (g.output == Output::f32) return out;
  const auto least = static_cast<float>(-g.zero);
  if (out.hi < out.lo) out.lo = out.hi;
  if (out.lo < least) out.lo = least;
  out.low = static_cast<std::int32_t>(__builtin_lrintf(out.lo)) + g.zero;
  out.high = static_cast<std::int32_t>(__builtin_lrintf(out.hi)) + g.zero;
  return out;
}

// Where the results of an output are, from this pixel and channel on.
inline std::uint8_t* results_of(const DepthwiseU8Args& g, std::size_t output, std::size_t pixel, std::size_t channel) {
  const std::size_t element = g.output == Output::f32 ? sizeof(float) : 1;
  return static_cast<std::uint8_t*>(g.c) + output * g.c_apart + pixel * g.c_stride + channel * element;
}

// The plain way to store.
template <class V, int P>
[[maybe_unused]] inline void store_lanes(std::uint8_t* out, std::size_t apart, const typename V::F (&y)[P],
                                         const Limits& limits) {
#pragma GCC unroll 4
  for (int p = 0; p < P; ++p) {
    const typename V::F clamped = V::clamp(y[p], limits.lo, limits.hi);
    V::store_u8(out + p * apart, V::add(V::round(clamped), V::splat(limits.zero)));
  }
}

// A window of kRows × kColumns, kStep columns from pixel to pixel; 0: what the call says.
template <std::size_t kRows, std::size_t kColumns, std::size_t kStep>
struct Window {
  const DepthwiseU8Args& g;
  static constexpr bool kKnown = kRows != 0;
  static constexpr std::size_t kGroups = ceil_div(kRows, 4);
  static constexpr std::size_t seen_by(std::size_t pixels) { return (pixels - 1) * kStep + kColumns; }
  static constexpr std::size_t kWeights = kKnown ? kGroups * kColumns : kMaxWeights;

  std::size_t rows() const { return kKnown ? kRows : g.rows; }
  std::size_t columns() const { return kKnown ? kColumns : g.columns; }
  std::size_t step() const { return kKnown ? kStep : g.step; }
  std::size_t dilation() const { return kKnown ? 1 : g.dilation; }
  std::size_t groups() const { return ceil_div(rows(), 4); }
  std::size_t of_group(std::size_t f) const { return least(rows() - 4 * f, 4); }
  std::size_t seen() const { return (columns() - 1) * dilation() + 1; }  // columns, by one pixel
};

template <class T>
struct Run {
  static constexpr std::size_t kVectors = kBlock<T> / T::V::kLanes;
  const std::uint8_t* taps[kMaxTaps];             // [columns][rows]
  typename T::V::I quads[kVectors * kMaxGroups];  // [vectors][columns][groups]
  std::size_t first, pixels, columns;
};

// The rows of all columns, where they are.
inline void find_taps(const DepthwiseU8Args& g, std::size_t first, std::size_t columns, const std::uint8_t** taps) {
  const std::int32_t* offsets = g.offsets + first * g.rows;
  for (std::size_t i = 0; i < columns * g.rows; ++i) taps[i] = offsets[i] == kPad ? g.pad : g.a + offsets[i];
}

// The n rows from `taps` on, as `load` reads them.
template <class T, class Load>
inline void spread_group(const std::uint8_t* const* taps, std::size_t n, typename T::V::I* out, std::size_t apart,
                         Load load) {
  typename T::Bytes group[4] = {};
  group[0] = load(taps[0]);
  if (n > 1) group[1] = load(taps[1]);
  if (n > 2) group[2] = load(taps[2]);
  if (n > 3) group[3] = load(taps[3]);
  T::spread(group, out, apart);
}

template <class T, class W, class Load>
inline void spread(const W& window, Run<T>& run, Load load) {
  const std::size_t apart = run.columns * window.groups(), columns = run.columns, groups = window.groups();
  const std::uint8_t* const* taps = run.taps;
  typename T::V::I* out = run.quads;
  for (std::size_t j = 0; j < columns; ++j, taps += window.rows()) {
#pragma GCC unroll 2
    for (std::size_t f = 0; f < groups; ++f) {
      spread_group<T>(taps + 4 * f, window.of_group(f), out++, apart, load);
    }
  }
}

// One vector of channels over a run of pixels. A copy of what the call says, since to the compiler the bytes that are
// stored may be anything, the call itself too.
template <class T, class W, bool kResidual>
struct Pass {
  using V = typename T::V;
  using I = typename V::I;
  W window;
  typename T::Factor w[W::kWeights];
  I start;
  typename V::F scale;
  Limits limits;
  float pre_lo, pre_hi, r_scale;
  std::int32_t r_zero;
  std::size_t r_stride, c_stride;
  bool floats;

  Pass(const DepthwiseU8Args& g, const W& window, std::size_t output, std::size_t c)
      : window(window),
        start(V::load(g.bias + c)),
        scale(V::load(g.scale + c)),
        limits(limits_of(g)),
        pre_lo(g.pre_lo),
        pre_hi(g.pre_hi),
        r_scale(g.r_scale),
        r_zero(g.r_zero),
        r_stride(g.r_stride),
        c_stride(g.c_stride),
        floats(g.output == Output::f32) {
    const std::size_t group = ceil_div(g.channels, kDepthwisePad) * kDepthwisePad * 4;
    const std::size_t count = window.columns() * window.groups();
    const std::int8_t* packed = g.w + output * count * group + c * 4;
#pragma GCC unroll 10
    for (std::size_t i = 0; i < count; ++i, packed += group) {
      w[i] = T::weights(packed);
      T::start(start, w[i]);
    }
  }

  // P pixels, the columns of the first from `at` on: every column split into factors once.
  template <int P>
  void sums_of_known(const I* at, I (&acc)[P]) const {
    constexpr std::size_t kSeen = W::seen_by(P), kGroups = W::kGroups;
#pragma GCC unroll 16
    for (std::size_t j = 0; j < kSeen; ++j) {
#pragma GCC unroll 2
      for (std::size_t f = 0; f < kGroups; ++f) {
        const typename T::Factor data = T::data(at[j * kGroups + f]);
#pragma GCC unroll 4
        for (int p = 0; p < P; ++p) {
          const std::size_t x = j - p * window.step();  // wraps where the pixel starts further right
          if (x < window.columns()) T::multiply(acc[p], data, w[x * kGroups + f], window.of_group(f));
        }
      }
    }
  }

  template <int P>
  void sums_of_any(const I* at, I (&acc)[P]) const {
    const std::size_t groups = window.groups(), step = window.step() * groups;
    const typename T::Factor* factor = w;
    for (std::size_t x = 0; x < window.columns(); ++x, at += window.dilation() * groups) {
      for (std::size_t f = 0; f < groups; ++f, ++factor) {
#pragma GCC unroll 4
        for (int p = 0; p < P; ++p) T::multiply(acc[p], T::data(at[p * step + f]), *factor, 4);
      }
    }
  }

  typename V::F result(I acc, const std::uint8_t* r) const {
    const typename V::F y = V::mul(V::to_float(acc), scale);
    if (!kResidual) return y;
    const typename V::I less = V::sub(V::load_u8(r), V::splat(r_zero));
    return V::add(V::clamp(y, pre_lo, pre_hi), V::mul(V::to_float(less), V::splat(r_scale)));
  }

  template <int P>
  void results(const I* at, const std::uint8_t* r, typename V::F (&y)[P]) const {
    I acc[P];
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) acc[p] = start;
    if constexpr (W::kKnown) {
      sums_of_known(at, acc);
    } else {
      sums_of_any(at, acc);
    }
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) y[p] = result(acc[p], kResidual ? r + p * r_stride : nullptr);
  }

  typename V::F clamped(typename V::F y) const { return V::clamp(y, limits.lo, limits.hi); }

  void four(const I* at, const std::uint8_t* r, std::uint8_t* out) const {
    typename V::F y[kPixels];
    results(at, r, y);
    if (!floats) return T::store(out, c_stride, y, limits);
#pragma GCC unroll 4
    for (int p = 0; p < kPixels; ++p) V::store(reinterpret_cast<float*>(out + p * c_stride), clamped(y[p]));
  }

  // The first `size` channels of a pixel.
  void some(const I* at, const std::uint8_t* r, std::uint8_t* out, std::size_t size) const {
    std::uint8_t residual[V::kLanes] = {}, bytes[V::kLanes];
    float reals[V::kLanes];
    if (kResidual) __builtin_memcpy(residual, r, size);
    typename V::F y[1];
    results(at, residual, y);
    if (floats) {
      V::store(reals, clamped(y[0]));
      __builtin_memcpy(out, reals, size * sizeof(float));
    } else {
      store_lanes<V>(bytes, 0, y, limits);
      __builtin_memcpy(out, bytes, size);
    }
  }
};

// The first `channels` from `first` on of one output's pixels, the columns of the first of which are `at`.
template <class T, class W, bool kResidual>
inline void one_output(const Pass<T, W, kResidual>& pass, const DepthwiseU8Args& g, const Run<T>& run, std::size_t o,
                       std::size_t first, std::size_t channels, const typename T::V::I* at) {
  const std::size_t r_stride = kResidual ? g.r_stride : 0, c_stride = g.c_stride, pixels = run.pixels;
  const std::size_t step = pass.window.step() * pass.window.groups();
  const std::uint8_t* r = kResidual ? g.r + o * g.c_apart + run.first * g.r_stride + first : nullptr;
  std::uint8_t* out = results_of(g, o, run.first, first);
  std::size_t i = 0;
  if (channels == T::V::kLanes) {
    for (; i + kPixels <= pixels; i += kPixels) pass.four(at + i * step, r + i * r_stride, out + i * c_stride);
    if (!kResidual && i < pixels && pixels > kPixels) {  // some of those before again
      i = pixels - kPixels;
      return pass.four(at + i * step, r, out + i * c_stride);
    }
  }
  for (; i < pixels; ++i) pass.some(at + i * step, r + i * r_stride, out + i * c_stride, channels);
}

// Channels [c, c + size) of a block.
template <class T, class W, bool kResidual>
[[gnu::noinline]] void block(const DepthwiseU8Args& g, const W& window, Run<T>& run, std::size_t c, std::size_t size) {
  constexpr std::size_t kLanes = T::V::kLanes;
  if (size == kBlock<T>) {
    spread(window, run, [c](const std::uint8_t* p) { return read<typename T::Bytes>(p + c); });
  } else {
    spread(window, run, [c, size](const std::uint8_t* p) { return T::read_some(p + c, size); });
  }
  const std::size_t apart = run.columns * window.groups();
  for (std::size_t v = 0; v * kLanes < size; ++v) {
    const std::size_t first = c + v * kLanes, channels = least(size - v * kLanes, kLanes);
    for (std::size_t o = 0; o < g.outputs; ++o) {
      one_output(Pass<T, W, kResidual>(g, window, o, first), g, run, o, first, channels, run.quads + v * apart);
    }
  }
}

template <class T, class W, bool kResidual>
void all_pixels(const DepthwiseU8Args& g) {
  const W window{g};
  Run<T> run;
  const std::size_t fit = least(kMaxTaps / window.rows(), kMaxGroups / window.groups());
  if (fit < window.seen() || window.groups() * window.columns() > kMaxWeights) return depthwise_u8_scalar.run(g);
  const std::size_t most = least((fit - window.seen()) / window.step() + 1, kMaxPixels);
  for (run.first = 0; run.first < g.pixels; run.first += run.pixels) {
    run.pixels = least(g.pixels - run.first, most);
    run.columns = (run.pixels - 1) * window.step() + window.seen();
    find_taps(g, run.first * window.step(), run.columns, run.taps);
    for (std::size_t c = 0; c < g.channels; c += kBlock<T>) {
      block<T, W, kResidual>(g, window, run, c, least(g.channels - c, kBlock<T>));
    }
  }
}

// Square windows of kSide taps, as many outputs at once as shared_outputs gives for them.
template <class T, std::size_t kSide, std::size_t kStep>
inline bool run_square(const DepthwiseU8Args& g) {
  constexpr std::size_t kRows = kSide + (shared_outputs(kSide, kStep, T::kProducts) - 1) * kStep;
  if (g.r || g.rows != kRows || g.columns != kSide || g.step != kStep || g.dilation != 1) return false;
  all_pixels<T, Window<kRows, kSide, kStep>, false>(g);
  return true;
}

template <class T>
void any_window(const DepthwiseU8Args& g) {
  g.r ? all_pixels<T, Window<0, 0, 0>, true>(g) : all_pixels<T, Window<0, 0, 0>, false>(g);
}

template <class T>
void depthwise_u8(const DepthwiseU8Args& g) {
  if (run_square<T, 3, 1>(g) || run_square<T, 3, 2>(g) || run_square<T, 5, 1>(g) || run_square<T, 5, 2>(g)) return;
  any_window<T>(g);
}

}  // namespace
}  // namespace quaver::kernels
