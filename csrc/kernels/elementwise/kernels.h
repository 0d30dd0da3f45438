// The kernels of one instruction set: descriptors made by its file, gathered by lists.cc.
#pragma once

#include "kernels/elementwise/binary.h"
#include "kernels/elementwise/number.h"
#include "kernels/elementwise/table.h"
#include "kernels/elementwise/unary.h"

#define QUAVER_ELEMENTWISE_DECLARE(isa)                       \
  namespace quaver::kernels {                                 \
  extern const IntegerKernel<std::uint8_t> kIntegerU8_##isa;  \
  extern const IntegerKernel<std::int8_t> kIntegerS8_##isa;   \
  extern const IntegerKernel<std::int32_t> kIntegerI32_##isa; \
  extern const IntegerKernel<std::int64_t> kIntegerI64_##isa; \
  extern const CompareKernel<std::uint8_t> kCompareU8_##isa;  \
  extern const CompareKernel<std::int32_t> kCompareI32_##isa; \
  extern const CompareKernel<std::int64_t> kCompareI64_##isa; \
  extern const CompareKernel<float> kCompareF32_##isa;        \
  extern const TestF32Kernel kTestF32_##isa;                  \
  extern const BinaryF32Kernel kBinaryF32_##isa;              \
  extern const BinaryU8Kernel kBinaryU8_##isa;                \
  extern const PreluU8Kernel kPreluU8_##isa;                  \
  extern const UnaryF32Kernel kUnaryF32_##isa;                \
  extern const TableKernel kTable_##isa;                      \
  }

#define QUAVER_ELEMENTWISE_DEFINE(isa, binary_u8_run, table_run)                                \
  namespace quaver::kernels {                                                                   \
  constexpr IntegerKernel<std::uint8_t> kIntegerU8_##isa{"integer_" #isa, Isa::isa, &integer};  \
  constexpr IntegerKernel<std::int8_t> kIntegerS8_##isa{"integer_" #isa, Isa::isa, &integer};   \
  constexpr IntegerKernel<std::int32_t> kIntegerI32_##isa{"integer_" #isa, Isa::isa, &integer}; \
  constexpr IntegerKernel<std::int64_t> kIntegerI64_##isa{"integer_" #isa, Isa::isa, &integer}; \
  constexpr CompareKernel<std::uint8_t> kCompareU8_##isa{"compare_" #isa, Isa::isa, &compare};  \
  constexpr CompareKernel<std::int32_t> kCompareI32_##isa{"compare_" #isa, Isa::isa, &compare}; \
  constexpr CompareKernel<std::int64_t> kCompareI64_##isa{"compare_" #isa, Isa::isa, &compare}; \
  constexpr CompareKernel<float> kCompareF32_##isa{"compare_" #isa, Isa::isa, &compare};        \
  constexpr TestF32Kernel kTestF32_##isa{"test_f32_" #isa, Isa::isa, &test_f32};                \
  constexpr BinaryF32Kernel kBinaryF32_##isa{"binary_f32_" #isa, Isa::isa, &binary_f32};        \
  constexpr BinaryU8Kernel kBinaryU8_##isa{"binary_u8_" #isa, Isa::isa, &binary_u8_run};        \
  constexpr PreluU8Kernel kPreluU8_##isa{"prelu_u8_" #isa, Isa::isa, &prelu_u8};                \
  constexpr UnaryF32Kernel kUnaryF32_##isa{"unary_f32_" #isa, Isa::isa, &unary_f32};            \
  constexpr TableKernel kTable_##isa{"table_" #isa, Isa::isa, &table_run};                      \
  }

QUAVER_ELEMENTWISE_DECLARE(scalar)
QUAVER_ELEMENTWISE_DECLARE(avx2)
QUAVER_ELEMENTWISE_DECLARE(avx512vnni)

namespace quaver::kernels {
extern const TableKernel kTable_avx512vbmi;
}
