// Element types. The numeric values are stored in model files: append, never renumber.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace quaver {

enum class DType : std::uint8_t {
  f32 = 0,
  u8 = 1,
  s8 = 2,
  i32 = 3,
  i64 = 4,
  boolean = 5,
  f64 = 6,
  f16 = 7,
  bf16 = 8,
  u16 = 9,
  s16 = 10,
  u32 = 11,
  u64 = 12,
};
inline constexpr int kDTypeCount = 13;

// Bytes of one element.
std::size_t size_of(DType dtype) noexcept;
// NumPy's name: "float32", "uint8", …, "bool"; "bfloat16" for bf16.
std::string_view name_of(DType dtype) noexcept;
std::optional<DType> dtype_from_name(std::string_view name) noexcept;

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct DTypeOf<std::uint8_t> {
  static constexpr DType value = DType::u8;
};
template <>
struct DTypeOf<std::int8_t> {
  static constexpr DType value = DType::s8;
};
template <>
struct DTypeOf<std::int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct DTypeOf<std::int64_t> {
  static constexpr DType value = DType::i64;
};
template <>
struct DTypeOf<bool> {
  static constexpr DType value = DType::boolean;
};

}  // namespace quaver
