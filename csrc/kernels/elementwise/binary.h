// Arithmetic on two runs of numbers; an operator decomposes a broadcast into such runs.
//
// Operand i of a run is a[i · a_step], b[i · b_step]; a step is 1, or 0 for one number that meets all of the other run.
// c is as long as the run and overlaps neither operand.
//
// binary_f32:  c = min(max(a ∘ b, lo), hi), one IEEE single operation; NaN passes through the clamp.
//              prelu: a < 0 ? a · b : a. max, min: of two zeros b; a NaN on either side.
// binary_u8:   with a' = a − a_zero, b' = b − b_zero, exact integers,
//
//   add  t = float(a') · ka + float(b') · kb           (a difference is a sum with kb < 0)
//   mul  t = float(a' · b') · ka
//   div  t = (float(a') · ka) / (float(b') · kb) / ky, and 0 where a' = 0
//
// prelu_u8:    t = float(a') · ka, times b (an fp32 slope) where a' < 0
//
//   c = rne(min(max(t, lo − zero), hi − zero)) + zero
//
// Every operation is one IEEE single operation in the order written, never fused; rne rounds to nearest even.
// 0 ≤ lo, hi, zero ≤ 255, so c is a u8. A NaN t (from infinite multipliers) becomes lo.
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa/isa.h"

namespace quaver::kernels {

enum class BinaryF32Op : std::uint8_t { add, sub, mul, div, prelu, max, min };

struct BinaryF32Args {
  BinaryF32Op op = BinaryF32Op::add;
  std::size_t n = 0;
  const float* a = nullptr;
  const float* b = nullptr;
  std::size_t a_step = 1, b_step = 1;
  float lo = -__builtin_inff(), hi = __builtin_inff();
  float* c = nullptr;
};

struct BinaryF32Kernel {
  const char* name;  // "binary_f32_avx2"
  Isa isa;
  void (*run)(const BinaryF32Args&);
};

enum class BinaryU8Op : std::uint8_t { add, mul, div };

struct BinaryU8Args {
  BinaryU8Op op = BinaryU8Op::add;
  std::size_t n = 0;
  const std::uint8_t* a = nullptr;
  const std::uint8_t* b = nullptr;
  std::size_t a_step = 1, b_step = 1;
  std::int32_t a_zero = 0, b_zero = 0;
  float ka = 1, kb = 1, ky = 1;
  std::int32_t zero = 0, lo = 0, hi = 255;
  std::uint8_t* c = nullptr;
};

struct BinaryU8Kernel {
  const char* name;
  Isa isa;
  void (*run)(const BinaryU8Args&);
};

struct PreluU8Args {
  std::size_t n = 0;
  const std::uint8_t* a = nullptr;
  const float* b = nullptr;
  std::size_t a_step = 1, b_step = 1;
  std::int32_t a_zero = 0;
  float ka = 1;
  std::int32_t zero = 0, lo = 0, hi = 255;
  std::uint8_t* c = nullptr;
};

struct PreluU8Kernel {
  const char* name;
  Isa isa;
  void (*run)(const PreluU8Args&);
};

// All kernels built in, the scalar definition first, and the best of `set`.
struct BinaryF32List {
  const BinaryF32Kernel* const* items;
  std::size_t size;
};
BinaryF32List binary_f32_kernels();
const BinaryF32Kernel& pick_binary_f32(IsaSet set);

struct BinaryU8List {
  const BinaryU8Kernel* const* items;
  std::size_t size;
};
BinaryU8List binary_u8_kernels();
const BinaryU8Kernel& pick_binary_u8(IsaSet set);

struct PreluU8List {
  const PreluU8Kernel* const* items;
  std::size_t size;
};
PreluU8List prelu_u8_kernels();
const PreluU8Kernel& pick_prelu_u8(IsaSet set);

}  // namespace quaver::kernels
