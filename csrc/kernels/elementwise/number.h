// Plain integers and truths, in runs as binary.h has them.
//
// integer:  c = min(max(a ∘ b, lo), hi). Sums, differences and products wrap, a quotient is cut toward zero, x / 0 = 0;
//           distance: |a − b|, of the difference as it wraps. T: int32 and int64; of uint8 add and the bits' operators
//           alone, of int8 add.
// compare:  c = a ∘ b ? 1 : 0, as IEEE has it for a NaN. T: float, int32, int64, uint8.
// test_f32: y = x is a NaN, or x < lo or x > hi
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa/isa.h"

namespace quaver::kernels {

enum class IntegerOp : std::uint8_t { add, sub, mul, div, max, min, distance, bit_and, bit_or, bit_xor };
inline constexpr int kIntegerOpCount = static_cast<int>(IntegerOp::bit_xor) + 1;

template <class T>
struct IntegerArgs {
  IntegerOp op = IntegerOp::add;
  std::size_t n = 0;
  const T* a = nullptr;
  const T* b = nullptr;
  std::size_t a_step = 1, b_step = 1;
  T lo{}, hi{};
  T* c = nullptr;
};

template <class T>
struct IntegerKernel {
  const char* name;  // "integer_avx2"
  Isa isa;
  void (*run)(const IntegerArgs<T>&);
};

enum class CompareOp : std::uint8_t { equal, less, less_equal, greater, greater_equal };
inline constexpr int kCompareOpCount = static_cast<int>(CompareOp::greater_equal) + 1;

template <class T>
struct CompareArgs {
  CompareOp op = CompareOp::equal;
  std::size_t n = 0;
  const T* a = nullptr;
  const T* b = nullptr;
  std::size_t a_step = 1, b_step = 1;
  std::uint8_t* c = nullptr;
};

template <class T>
struct CompareKernel {
  const char* name;
  Isa isa;
  void (*run)(const CompareArgs<T>&);
};

enum class TestOp : std::uint8_t { nan, outside };

struct TestF32Args {
  TestOp op = TestOp::nan;
  std::size_t n = 0;
  const float* x = nullptr;
  float lo = 0, hi = 0;
  std::uint8_t* y = nullptr;
};

struct TestF32Kernel {
  const char* name;
  Isa isa;
  void (*run)(const TestF32Args&);
};

// All kernels built in, the scalar definition first, and the best of `set`.
template <class T>
struct IntegerList {
  const IntegerKernel<T>* const* items;
  std::size_t size;
};
template <class T>
IntegerList<T> integer_kernels();
template <class T>
const IntegerKernel<T>& pick_integer(IsaSet set);

template <class T>
struct CompareList {
  const CompareKernel<T>* const* items;
  std::size_t size;
};
template <class T>
CompareList<T> compare_kernels();
template <class T>
const CompareKernel<T>& pick_compare(IsaSet set);

struct TestF32List {
  const TestF32Kernel* const* items;
  std::size_t size;
};
TestF32List test_f32_kernels();
const TestF32Kernel& pick_test_f32(IsaSet set);

}  // namespace quaver::kernels
