// Rows of fp32 brought to bf16 just before they are multiplied, unit by unit, where they stay in the first caches.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/aligned.h"
#include "kernels/gemm/gemm_u8.h"

namespace quaver {

class RoundedRows {
 public:
  using Round = void (*)(const float*, std::size_t, std::uint16_t*);

  // The next unit's: all between `begin` and `end`, bytes counted in bf16.
  void add(std::size_t begin, std::size_t end) { units_.push_back({begin, end}); }
  // The same, from the first to the last of rows of `bytes` at these offsets from `begin`, padding left out. Rows of
  // neighbouring windows overlap.
  void add(std::span<const std::int32_t> offsets, std::size_t begin, std::size_t bytes) {
    Unit unit{SIZE_MAX, 0};
    for (const std::int32_t offset : offsets) {
      if (offset == kernels::kPad) continue;
      const std::size_t at = begin + static_cast<std::size_t>(offset);
      unit = {std::min(unit.begin, at), std::max(unit.end, at + bytes)};
    }
    units_.push_back(unit.end ? unit : Unit{0, 0});
  }

  std::size_t scratch() const {
    std::size_t most = 0;
    for (const Unit& unit : units_) most = std::max(most, unit.end - unit.begin);
    return align_up(most);
  }

  // Rounds what the unit reads of an image of fp32 into the scratch, and gives the address at which an image of bf16
  // would have to begin for its part to lie there.
  const std::byte* run(std::size_t index, Round round, const std::byte* image, std::byte* scratch) const {
    const Unit& unit = units_[index];
    const auto* from = reinterpret_cast<const float*>(image + 2 * unit.begin);
    round(from, (unit.end - unit.begin) / sizeof(std::uint16_t), reinterpret_cast<std::uint16_t*>(scratch));
    return reinterpret_cast<const std::byte*>(reinterpret_cast<std::uintptr_t>(scratch) - unit.begin);
  }

 private:
  struct Unit {
    std::size_t begin, end;
  };
  std::vector<Unit> units_;
};

}  // namespace quaver
