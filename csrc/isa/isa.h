// Names and sets of instruction sets. Included by kernel files, so it holds nothing but integers.
#pragma once

#include <cstdint>

namespace quaver {

enum class Isa : std::uint8_t {
#define QUAVER_ISA_ROW(arch, name, implied, flags) name,
#include "isa/isa.def"
#undef QUAVER_ISA_ROW
};

inline constexpr const char* kIsaNames[] = {
#define QUAVER_ISA_ROW(arch, name, implied, flags) #name,
#include "isa/isa.def"
#undef QUAVER_ISA_ROW
};
inline constexpr int kIsaCount = sizeof(kIsaNames) / sizeof(kIsaNames[0]);

struct IsaSet {
  std::uint32_t bits = 1;  // scalar runs everywhere

  constexpr bool has(Isa isa) const { return bits >> static_cast<int>(isa) & 1; }
  friend constexpr bool operator==(IsaSet, IsaSet) = default;
};

constexpr const char* name_of(Isa isa) { return kIsaNames[static_cast<int>(isa)]; }

}  // namespace quaver
