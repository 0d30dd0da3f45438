#include "kernels/elementwise/kernels.h"
#include "kernels/pick.h"

namespace quaver::kernels {
namespace {

#if defined(__x86_64__)
#define QUAVER_ALL(family) {&family##_scalar, &family##_avx2, &family##_avx512vnni}
#else
#define QUAVER_ALL(family) {&family##_scalar}
#endif

const BinaryF32Kernel* const binary_f32_all[] = QUAVER_ALL(kBinaryF32);
const BinaryU8Kernel* const binary_u8_all[] = QUAVER_ALL(kBinaryU8);
const PreluU8Kernel* const prelu_u8_all[] = QUAVER_ALL(kPreluU8);
const UnaryF32Kernel* const unary_f32_all[] = QUAVER_ALL(kUnaryF32);
#if defined(__x86_64__)
const TableKernel* const table_all[] = {&kTable_scalar, &kTable_avx2, &kTable_avx512vnni, &kTable_avx512vbmi};
#else
const TableKernel* const table_all[] = {&kTable_scalar};
#endif
const TestF32Kernel* const test_f32_all[] = QUAVER_ALL(kTestF32);
const IntegerKernel<std::uint8_t>* const integer_u8_all[] = QUAVER_ALL(kIntegerU8);
const IntegerKernel<std::int8_t>* const integer_s8_all[] = QUAVER_ALL(kIntegerS8);
const IntegerKernel<std::int32_t>* const integer_i32_all[] = QUAVER_ALL(kIntegerI32);
const IntegerKernel<std::int64_t>* const integer_i64_all[] = QUAVER_ALL(kIntegerI64);
const CompareKernel<std::uint8_t>* const compare_u8_all[] = QUAVER_ALL(kCompareU8);
const CompareKernel<std::int32_t>* const compare_i32_all[] = QUAVER_ALL(kCompareI32);
const CompareKernel<std::int64_t>* const compare_i64_all[] = QUAVER_ALL(kCompareI64);
const CompareKernel<float>* const compare_f32_all[] = QUAVER_ALL(kCompareF32);

}  // namespace

BinaryF32List binary_f32_kernels() { return list_of<BinaryF32List>(binary_f32_all); }
BinaryU8List binary_u8_kernels() { return list_of<BinaryU8List>(binary_u8_all); }
PreluU8List prelu_u8_kernels() { return list_of<PreluU8List>(prelu_u8_all); }
UnaryF32List unary_f32_kernels() { return list_of<UnaryF32List>(unary_f32_all); }
TableList table_kernels() { return list_of<TableList>(table_all); }

const BinaryF32Kernel& pick_binary_f32(IsaSet set) { return pick_best(binary_f32_all, set); }
const BinaryU8Kernel& pick_binary_u8(IsaSet set) { return pick_best(binary_u8_all, set); }
const PreluU8Kernel& pick_prelu_u8(IsaSet set) { return pick_best(prelu_u8_all, set); }
const UnaryF32Kernel& pick_unary_f32(IsaSet set) { return pick_best(unary_f32_all, set); }
const TableKernel& pick_table(IsaSet set) { return pick_best(table_all, set); }

TestF32List test_f32_kernels() { return list_of<TestF32List>(test_f32_all); }
const TestF32Kernel& pick_test_f32(IsaSet set) { return pick_best(test_f32_all, set); }

#define QUAVER_NUMBERS(Family, family, T, all)            \
  template <>                                             \
  Family##List<T> family##_kernels<T>() {                 \
    return list_of<Family##List<T>>(all);                 \
  }                                                       \
  template <>                                             \
  const Family##Kernel<T>& pick_##family<T>(IsaSet set) { \
    return pick_best(all, set);                           \
  }

QUAVER_NUMBERS(Integer, integer, std::uint8_t, integer_u8_all)
QUAVER_NUMBERS(Integer, integer, std::int8_t, integer_s8_all)
QUAVER_NUMBERS(Integer, integer, std::int32_t, integer_i32_all)
QUAVER_NUMBERS(Integer, integer, std::int64_t, integer_i64_all)
QUAVER_NUMBERS(Compare, compare, std::uint8_t, compare_u8_all)
QUAVER_NUMBERS(Compare, compare, std::int32_t, compare_i32_all)
QUAVER_NUMBERS(Compare, compare, std::int64_t, compare_i64_all)
QUAVER_NUMBERS(Compare, compare, float, compare_f32_all)

}  // namespace quaver::kernels
