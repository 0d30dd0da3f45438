// y[i] = x[i] as a number of another type. A real becomes an integer by cutting toward zero, held at the type's ends,
// NaN is 0; a real of fewer bits the nearest, to even; an integer wraps; anything but 0 is true, and truth is 1. Exact,
// so that every instruction set gives the same bits, but for a NaN's. x and y do not overlap.
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa/isa.h"

namespace quaver::kernels {

enum class Number : std::uint8_t { f32, f16, bf16, u8, s8, i32, i64, boolean };
inline constexpr int kNumberCount = static_cast<int>(Number::boolean) + 1;

struct CastArgs {
  Number from = Number::f32, to = Number::f32;
  std::size_t n = 0;
  const void* x = nullptr;
  void* y = nullptr;
};

struct CastKernel {
  const char* name;  // "cast_avx2"
  Isa isa;
  void (*run)(const CastArgs&);
};

// All kernels built in, the scalar definition first, and the best of `set`.
struct CastList {
  const CastKernel* const* items;
  std::size_t size;
};
CastList cast_kernels();
const CastKernel& pick_cast(IsaSet set);

}  // namespace quaver::kernels
