// Windows of 3 × 3 and 5 × 5 on 512-bit vectors: a tile of pixels goes from rows to bytes in registers. Each column
// that the tile sees is unpacked to quads and multiplied at once for all pixels that see it, and a pixel whose last
// column that was becomes bytes beside the products of the next. Internal linkage, for kernel files.
#pragma once

#include "kernels/depthwise/depthwise_u8_tile.h"
#include "kernels/gemm/zmm.h"

namespace quaver::kernels {
namespace {

// body(Index<0>{}), …, body(Index<n − 1>{}): loops that GCC's own unrolling would leave to its last passes, when arrays
// can no longer become registers.
template <int i>
struct Index {
  static constexpr int value = i;
};
template <int n, int i = 0, class Body>
[[gnu::always_inline]] inline void unrolled(const Body& body) {
  if constexpr (i < n) {
    body(Index<i>{});
    unrolled<n, i + 1>(body);
  }
}

// Written out: around the intrinsic GCC 12 copies sums to other registers and back.
[[gnu::always_inline]] inline void add_dot(__m512i& acc, __m512i data, __m512i w) {
#ifndef QUAVER_EMULATED
  __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(data), "vm"(w));
#else
  acc = _mm512_dpbusd_epi32(acc, data, w);
#endif
}

// Pixels at once.
#ifndef QUAVER_EMULATED
constexpr int kTile = 7, kSmallTile = 4;
#else  // where an instruction is many, a compiler takes minutes for that
constexpr int kTile = 2, kSmallTile = 2;
#endif

template <int kSide_, int kStep_>
struct Square {
  static constexpr int kSide = kSide_, kStep = kStep_, kDots = lane_dots(kSide);
  static constexpr int seen_by(int pixels) { return (pixels - 1) * kStep + kSide; }
};

// Where a vector's bytes are: kPlaces runs of pixels with 64 / kPlaces channels each, of which the mask's are there.
template <int kPlaces, bool kWhole>
struct Places {
  std::size_t taps[kPlaces], out[kPlaces];  // from the first run to each
  __mmask64 mask;

  __m512i load(const std::uint8_t* const* at, std::size_t c) const {
    const auto row = [&](int place) { return at[taps[place]] + c; };
    if constexpr (kWhole) {
      return _mm512_loadu_si512(row(0));
    } else if constexpr (kPlaces == 1) {
      return _mm512_maskz_loadu_epi8(mask, row(0));
    } else if constexpr (kPlaces == 2) {
      const auto half = [&](int place) { return _mm256_maskz_loadu_epi8(static_cast<__mmask32>(mask), row(place)); };
      return _mm512_inserti64x4(_mm512_castsi256_si512(half(0)), half(1), 1);
    } else {
      const auto part = [&](int place) { return _mm_maskz_loadu_epi8(static_cast<__mmask16>(mask), row(place)); };
      const __m512i low = _mm512_inserti32x4(_mm512_castsi128_si512(part(0)), part(1), 1);
      return _mm512_inserti32x4(_mm512_inserti32x4(low, part(2), 2), part(3), 3);
    }
  }

  void store(std::uint8_t* at, __m512i bytes) const {
    if constexpr (kWhole) {
      _mm512_storeu_si512(at, bytes);
    } else if constexpr (kPlaces == 1) {
      _mm512_mask_storeu_epi8(at, mask, bytes);
    } else if constexpr (kPlaces == 2) {
      _mm256_mask_storeu_epi8(at, static_cast<__mmask32>(mask), _mm512_castsi512_si256(bytes));
      _mm256_mask_storeu_epi8(at + out[1], static_cast<__mmask32>(mask), _mm512_extracti64x4_epi64(bytes, 1));
    } else {
      const auto part = [&](int place, __m128i bytes) {
        _mm_mask_storeu_epi8(at + out[place], static_cast<__mmask16>(mask), bytes);
      };
      part(0, _mm512_castsi512_si128(bytes));
      part(1, _mm512_extracti32x4_epi32(bytes, 1));
      part(2, _mm512_extracti32x4_epi32(bytes, 2));
      part(3, _mm512_extracti32x4_epi32(bytes, 3));
    }
  }

  // The n-th 16 floats of 64.
  template <int n>
  void store(std::uint8_t* at, __m512 floats) const {
    constexpr int kChannels = 64 / kPlaces, kPlace = 16 * n / kChannels, kFirst = 16 * n % kChannels;
    auto* const to = reinterpret_cast<float*>(at + (kPlace > 0 ? out[kPlace] : 0)) + kFirst;
    if constexpr (kWhole) {
      _mm512_storeu_ps(to, floats);
    } else {
      _mm512_mask_storeu_ps(to, static_cast<__mmask16>(mask >> kFirst), floats);
    }
  }
};

// A strip of channels, the first of them c.
template <class S, class P>
struct Strip {
  using I = __m512i;
  static constexpr bool kHeld = S::kDots == 3;  // weights, in registers from pixel to pixel
  P places;
  std::size_t c, stride;
  const std::uint8_t* const* taps;
  std::uint8_t* out;
  const I* w;
  const I* bias;
  const __m512* scale;
  I zero, low, high;
  bool floats;
  float lo, hi;  // of floats
  I held[kHeld ? 12 : 1];

  I weight(int dot, int k) const {
    if constexpr (kHeld) return held[dot * 4 + k];
    return _mm512_loadu_si512(w + dot * 4 + k);
  }
  I row(int column, int y) const { return places.load(taps + column * S::kSide + y, c); }

  struct Pairs {  // bytes of two side by side, of each lane's first half and of its second
    I low, high;
  };
  static Pairs pairs_of(I a, I b) { return {_mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b)}; }

  // Four taps brought together: those of `dot` for the pixel that begins at column j − x.
  template <int j, int kPixels, class Dot>
  [[gnu::always_inline]] void multiply(I (&acc)[kPixels * 4], Pairs a, Pairs b, const Dot& dot) const {
    const I quads[4] = {_mm512_unpacklo_epi16(a.low, b.low), _mm512_unpackhi_epi16(a.low, b.low),
                        _mm512_unpacklo_epi16(a.high, b.high), _mm512_unpackhi_epi16(a.high, b.high)};
    unrolled<kPixels * 4>([&](auto i) __attribute__((always_inline)) {
      constexpr int n = decltype(i)::value, kDot = Dot{}(j - n / 4 * S::kStep);
      if constexpr (kDot == 0) acc[n] = _mm512_loadu_si512(bias + n % 4);
      if constexpr (kDot >= 0) add_dot(acc[n], quads[n % 4], weight(kDot, n % 4));
    });
    (void)dot;
  }

  struct Vertical {
    constexpr int operator()(int x) const { return x < S::kSide ? x : -1; }
  };
  // Of four columns the first of which is a pixel's x-th.
  struct Horizontal {
    constexpr int operator()(int x) const { return x == 0 ? S::kSide : x == S::kStep ? S::kSide + 1 : -1; }
  };

  template <int kPixels>
  [[gnu::always_inline]] void tile() const {
    // Columns after a pixel's last until its last dot is there.
    constexpr int kSeen = S::seen_by(kPixels), kLater = S::kSide == 5 && S::kStep == 2 ? 1 : 0;
    I acc[kPixels * 4], last[kSeen];
    Pairs pairs[kSeen];
    unrolled<kSeen>([&](auto column) __attribute__((always_inline)) {
      constexpr int j = decltype(column)::value;
      if constexpr (S::kSide == 3) {
        multiply<j, kPixels>(acc, pairs_of(row(j, 0), row(j, 1)), pairs_of(row(j, 2), _mm512_setzero_si512()),
                             Vertical{});
      } else {
        multiply<j, kPixels>(acc, pairs_of(row(j, 0), row(j, 1)), pairs_of(row(j, 2), row(j, 3)), Vertical{});
        last[j] = row(j, 4);
        if constexpr (j % S::kStep == 1 % S::kStep && j > 0) pairs[j - 1] = pairs_of(last[j - 1], last[j]);
        if constexpr (j >= 3 && (j - 3) % S::kStep == 0)
          multiply<j - 3, kPixels>(acc, pairs[j - 3], pairs[j - 1], Horizontal{});
        if constexpr (j == kSeen - 1 && S::kStep == 2) {  // a fourth column that none of the weights sees
          multiply<j - 2, kPixels>(acc, pairs[j - 2], pairs_of(last[j], last[j]), Horizontal{});
        }
      }
      constexpr int ended = j - S::kSide + 1 - kLater;
      if constexpr (ended >= 0 && ended % S::kStep == 0) finish<ended / S::kStep>(acc);
    });
    if constexpr (kLater > 0) finish<kPixels - 1>(acc);
  }

  template <int p, int kSize>
  [[gnu::always_inline]] void finish(const I (&acc)[kSize]) const {
    const auto y = [&](int k) __attribute__((always_inline)) {
      return Zmm::mul(Zmm::to_float(acc[p * 4 + k]), _mm512_loadu_ps(scale + k));
    };
    if (floats) return store_floats(out + p * stride, y(0), y(1), y(2), y(3));
    const auto rounded = [&](int k) __attribute__((always_inline)) { return Zmm::round(y(k)); };
    const I first = _mm512_adds_epi16(_mm512_packs_epi32(rounded(0), rounded(1)), zero);
    const I second = _mm512_adds_epi16(_mm512_packs_epi32(rounded(2), rounded(3)), zero);
    const I bytes = _mm512_packus_epi16(first, second);  // in the order of the rows again
    places.store(out + p * stride, Zmm::min_u8(Zmm::max_u8(bytes, low), high));
  }

  // Lane l of vector k holds channels 16 · l + 4 · k + {0 … 3}: a transposition of the lanes.
  void store_floats(std::uint8_t* at, __m512 a, __m512 b, __m512 c, __m512 d) const {
    const auto clamped = [&](__m512 y) { return Zmm::clamp(y, lo, hi); };
    const __m512 ab = _mm512_shuffle_f32x4(a, b, 0x44), cd = _mm512_shuffle_f32x4(c, d, 0x44);
    const __m512 ab_high = _mm512_shuffle_f32x4(a, b, 0xEE), cd_high = _mm512_shuffle_f32x4(c, d, 0xEE);
    places.template store<0>(at, clamped(_mm512_shuffle_f32x4(ab, cd, 0x88)));
    places.template store<1>(at, clamped(_mm512_shuffle_f32x4(ab, cd, 0xDD)));
    places.template store<2>(at, clamped(_mm512_shuffle_f32x4(ab_high, cd_high, 0x88)));
    places.template store<3>(at, clamped(_mm512_shuffle_f32x4(ab_high, cd_high, 0xDD)));
  }

  template <int kPixels>
  [[gnu::always_inline]] std::size_t tiles(std::size_t pixels) {
    for (; pixels >= kPixels; pixels -= kPixels) {
      tile<kPixels>();
      taps += kPixels * S::kStep * S::kSide;
      out += kPixels * stride;
    }
    return pixels;
  }
};

template <class S, int kPlaces, bool kWhole>
[[gnu::noinline]] void strip(const DepthwiseU8Args& g, const Limits& limits, const std::uint8_t* const* taps,
                             std::size_t at, std::size_t pixels, std::size_t c) {
  const std::size_t run = ceil_div(pixels, kPlaces), left = g.channels - c;
  Places<kPlaces, kWhole> places;
  unrolled<kPlaces>([&](auto i) {
    const std::size_t pixel = least(i.value * run, pixels - run);
    places.taps[i.value] = pixel * S::kStep * S::kSide, places.out[i.value] = pixel * g.c_stride;
  });
  places.mask = left >= kDepthwiseStrip ? ~__mmask64{0} : (__mmask64{1} << left) - 1;
  Strip<S, Places<kPlaces, kWhole>> s = {places,
                                         c,
                                         g.c_stride,
                                         taps,
                                         results_of(g, 0, at, c),
                                         reinterpret_cast<const __m512i*>(g.w + c * S::kDots * 4),
                                         reinterpret_cast<const __m512i*>(g.bias + c),
                                         reinterpret_cast<const __m512*>(g.scale + c),
                                         Zmm::splat_words(limits.zero),
                                         _mm512_set1_epi8(static_cast<char>(limits.low)),
                                         _mm512_set1_epi8(static_cast<char>(limits.high)),
                                         g.output == Output::f32,
                                         limits.lo,
                                         limits.hi,
                                         {}};
  if constexpr (s.kHeld) unrolled<12>([&](auto i) { s.held[i.value] = _mm512_loadu_si512(s.w + i.value); });
  std::size_t rest = s.template tiles<kTile>(run);
  if constexpr (kWhole) rest = s.template tiles<kSmallTile>(rest);  // for parts of strips not worth its code
  s.template tiles<1>(rest);
}

template <class S>
void square(const DepthwiseU8Args& g) {
  constexpr std::size_t kColumns = kMaxTaps / S::kSide, kRun = (kColumns - S::kSide) / S::kStep + 1;
  const std::uint8_t* taps[kMaxTaps];
  const Limits limits = limits_of(g);
  for (std::size_t at = 0; at < g.pixels; at += kRun) {
    const std::size_t pixels = least(g.pixels - at, kRun);
    find_taps(g, at * S::kStep, S::seen_by(pixels), taps);
    std::size_t c = 0;
    for (; c + kDepthwiseStrip <= g.channels; c += kDepthwiseStrip) strip<S, 1, true>(g, limits, taps, at, pixels, c);
    if (c == g.channels) continue;
    switch (places(g.channels - c)) {
      case 1: strip<S, 1, false>(g, limits, taps, at, pixels, c); break;
      case 2: strip<S, 2, false>(g, limits, taps, at, pixels, c); break;
      default: strip<S, 4, false>(g, limits, taps, at, pixels, c);
    }
  }
}

}  // namespace

}  // namespace quaver::kernels
