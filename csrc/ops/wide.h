// Any element type, read as one of three wide ones (int64, uint64, double), which hold it exactly, and written from
// there: a float to an integer is cut toward zero and held at the type's ends, NaN is 0; an integer to a narrower one
// wraps; anything but 0 is true. For operators too rare for loops over each type.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "base/dtype.h"
#include "kernels/cast/half.h"

namespace quaver {

template <class T>
struct Tag {
  using Type = T;
};

// visit(Tag<T>{}) with the type that stores `dtype`.
template <class Visit>
auto with_type(DType dtype, Visit visit) {
  switch (dtype) {
    case DType::f32: return visit(Tag<float>{});
    case DType::f64: return visit(Tag<double>{});
    case DType::f16: return visit(Tag<Half>{});
    case DType::bf16: return visit(Tag<Bfloat>{});
    case DType::u8: return visit(Tag<std::uint8_t>{});
    case DType::s8: return visit(Tag<std::int8_t>{});
    case DType::u16: return visit(Tag<std::uint16_t>{});
    case DType::s16: return visit(Tag<std::int16_t>{});
    case DType::u32: return visit(Tag<std::uint32_t>{});
    case DType::i32: return visit(Tag<std::int32_t>{});
    case DType::u64: return visit(Tag<std::uint64_t>{});
    case DType::i64: return visit(Tag<std::int64_t>{});
    default: return visit(Tag<bool>{});
  }
}

constexpr bool is_real(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f64 || dtype == DType::f16 || dtype == DType::bf16;
}

template <class T>
auto widen(T x) {
  if constexpr (std::is_class_v<T>) {
    return double{to_float(x)};
  } else if constexpr (std::is_floating_point_v<T>) {
    return static_cast<double>(x);
  } else if constexpr (std::is_same_v<T, std::uint64_t>) {
    return x;
  } else {
    return static_cast<std::int64_t>(x);
  }
}

template <class T, class Wide>
T narrow(Wide x) {
  if constexpr (std::is_same_v<T, bool>) {
    return x != 0;
  } else if constexpr (std::is_same_v<T, Half>) {
    return to_half(static_cast<double>(x));
  } else if constexpr (std::is_same_v<T, Bfloat>) {
    return to_bfloat(static_cast<double>(x));
  } else if constexpr (std::is_floating_point_v<Wide> && std::is_integral_v<T>) {
    return cut<T>(x);
  } else {
    return static_cast<T>(x);
  }
}

// n elements from x on, `step` apart, as W.
template <class W>
using ReadWide = void (*)(const std::byte* x, std::ptrdiff_t step, std::size_t n, W* wide);
template <class W>
using WriteWide = void (*)(const W* wide, std::ptrdiff_t step, std::size_t n, std::byte* y);

template <class T, class W>
void read_wide(const std::byte* x, std::ptrdiff_t step, std::size_t n, W* wide) {
  const T* from = reinterpret_cast<const T*>(x);
  if (step == 1) {  // of known steps compilers make vectors
    for (std::size_t i = 0; i < n; ++i) wide[i] = narrow<W>(widen(from[i]));
  } else if (step == 0) {
    std::fill_n(wide, n, narrow<W>(widen(*from)));
  } else {
    for (std::size_t i = 0; i < n; ++i) wide[i] = narrow<W>(widen(from[static_cast<std::ptrdiff_t>(i) * step]));
  }
}

template <class T, class W>
void write_wide(const W* wide, std::ptrdiff_t step, std::size_t n, std::byte* y) {
  T* to = reinterpret_cast<T*>(y);
  if (step == 1) {
    for (std::size_t i = 0; i < n; ++i) to[i] = narrow<T>(wide[i]);
  } else {
    for (std::size_t i = 0; i < n; ++i) to[static_cast<std::ptrdiff_t>(i) * step] = narrow<T>(wide[i]);
  }
}

// A byte holds truth values, and is written as nothing else.
template <class W>
inline constexpr bool kTruth = std::is_same_v<W, std::uint8_t>;

template <class W>
ReadWide<W> reader_of(DType from) {
  return with_type(from, []<class T>(Tag<T>) -> ReadWide<W> { return &read_wide<T, W>; });
}

template <class W>
WriteWide<W> writer_of(DType to) {
  if constexpr (kTruth<W>) {
    return &write_wide<bool, W>;
  } else {
    return with_type(to, []<class T>(Tag<T>) -> WriteWide<W> { return &write_wide<T, W>; });
  }
}

// Whether elements are stored as W.
template <class W>
bool stored_as(DType dtype) {
  return kTruth<W> || with_type(dtype, []<class T>(Tag<T>) { return std::is_same_v<T, W>; });
}

// visit(W{}) with the wide type that holds `dtype` exactly.
template <class Visit>
auto with_wide(DType dtype, Visit visit) {
  if (is_real(dtype)) return visit(double{});
  return dtype == DType::u64 ? visit(std::uint64_t{}) : visit(std::int64_t{});
}

}  // namespace quaver
