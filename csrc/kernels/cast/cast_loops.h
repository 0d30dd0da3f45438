// The loops behind cast.h, written once and compiled for each instruction set.
#pragma once

#include "kernels/cast/cast.h"
#include "kernels/cast/half.h"

#if defined(__F16C__)
#include <immintrin.h>
#endif

namespace quaver::kernels {
namespace {

struct Truth {
  std::uint8_t byte;
};

template <class T>
inline constexpr bool kIsReal = false;
template <>
inline constexpr bool kIsReal<float> = true;

template <class T>
inline constexpr bool kIsTruth = false;
template <>
inline constexpr bool kIsTruth<Truth> = true;

template <class T>
T plain(T x) {
  return x;
}
inline float plain(Half x) { return to_float(x); }
inline float plain(Bfloat x) { return to_float(x); }

// Makes a To; nothing is rounded twice.
template <class To>
struct Cast {
  template <class X>
  static To of(X x) {
    if constexpr (kIsReal<X> && !kIsReal<To>) {
      return cut<To>(x);
    } else {
      return static_cast<To>(x);
    }
  }
};
template <>
struct Cast<Truth> {
  template <class X>
  static Truth of(X x) {
    return {static_cast<std::uint8_t>(x != 0)};
  }
};
// An integer that a float does not hold is no half either: infinity.
template <>
struct Cast<Half> {
  template <class X>
  static Half of(X x) {
    return to_half(static_cast<float>(x));
  }
};
template <>
struct Cast<Bfloat> {
  template <class X>
  static Bfloat of(X x) {
    if constexpr (sizeof(X) > 2 && !kIsReal<X>) {
      return to_bfloat(static_cast<double>(x));
    } else {
      return to_bfloat(static_cast<float>(x));
    }
  }
};

template <class From, class To>
void cast_run(const From* __restrict x, std::size_t n, To* __restrict y) {
  for (std::size_t i = 0; i < n; ++i) y[i] = Cast<To>::of(plain(x[i]));
}

#if defined(__F16C__)
inline void cast_run(const float* __restrict x, std::size_t n, Half* __restrict y) {
  std::size_t i = 0;
#if defined(__AVX512F__)
  for (; i + 16 <= n; i += 16) {
    const __m256i half = _mm512_cvtps_ph(_mm512_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(y + i), half);
  }
#endif
  for (; i + 8 <= n; i += 8) {
    const __m128i half = _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y + i), half);
  }
  for (; i < n; ++i) y[i] = to_half(x[i]);
}
#endif

template <class T>
struct NumberTag {
  using Type = T;
};

template <class Visit>
void visit_number(Number number, Visit visit) {
  switch (number) {
    case Number::f32: return visit(NumberTag<float>{});
    case Number::f16: return visit(NumberTag<Half>{});
    case Number::bf16: return visit(NumberTag<Bfloat>{});
    case Number::u8: return visit(NumberTag<std::uint8_t>{});
    case Number::s8: return visit(NumberTag<std::int8_t>{});
    case Number::i32: return visit(NumberTag<std::int32_t>{});
    case Number::i64: return visit(NumberTag<std::int64_t>{});
    case Number::boolean: return visit(NumberTag<Truth>{});
  }
}

// A truth is read as the byte it is.
void cast(const CastArgs& args) {
  visit_number(args.from == Number::boolean ? Number::u8 : args.from, [&]<class From>(NumberTag<From>) {
    if constexpr (!kIsTruth<From>) {
      visit_number(args.to, [&]<class To>(NumberTag<To>) {
        cast_run(static_cast<const From*>(args.x), args.n, static_cast<To*>(args.y));
      });
    }
  });
}

}  // namespace
}  // namespace quaver::kernels
