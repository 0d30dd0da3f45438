#include "base/dtype.h"

#include <array>

namespace quaver {
namespace {

struct Row {
  std::string_view name;
  std::size_t size;
};

constexpr std::array<Row, kDTypeCount> kRows{{
    {"float32", 4},
    {"uint8", 1},
    {"int8", 1},
    {"int32", 4},
    {"int64", 8},
    {"bool", 1},
    {"float64", 8},
    {"float16", 2},
    {"bfloat16", 2},
    {"uint16", 2},
    {"int16", 2},
    {"uint32", 4},
    {"uint64", 8},
}};

}  // namespace

std::size_t size_of(DType dtype) noexcept { return kRows[static_cast<std::size_t>(dtype)].size; }

std::string_view name_of(DType dtype) noexcept { return kRows[static_cast<std::size_t>(dtype)].name; }

std::optional<DType> dtype_from_name(std::string_view name) noexcept {
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    if (kRows[i].name == name) return static_cast<DType>(i);
  }
  return std::nullopt;
}

}  // namespace quaver
