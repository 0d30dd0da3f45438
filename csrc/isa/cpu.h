// What this CPU can run, and what it is allowed to.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "isa/isa.h"

namespace quaver {

// Every instruction set that the CPU and the operating system (saved registers) support.
IsaSet detected_isa() noexcept;

// The sets a model may use: `limit` and all it implies; without one, the environment variable QUAVER_ISA;
// without that, everything detected.
// Throws Error(isa), naming what this CPU has, for an unknown name or one the CPU lacks.
IsaSet usable_isa(std::optional<std::string_view> limit);

// The highest-ranked member: what `quaver info` shows.
Isa best(IsaSet set) noexcept;
std::string to_string(IsaSet set);

// The CPU's marketing name, as it reports it; "unknown CPU" where it does not.
std::string cpu_name();

}  // namespace quaver
