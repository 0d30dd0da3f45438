// All kernels of all families, for what is chosen by name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "isa/isa.h"

namespace quaver {

// The kernels among which the choice fell on `name`: of its family and kind, those that `set` can run, in order of
// rank. Empty where no kernel has that name.
std::vector<std::string> candidates_for(std::string_view name, IsaSet set);

// Throws Error(invalid_input) where a name in the list (separated by commas) is no kernel's, Error(isa) where `set`
// cannot run it. `source` is who asked: "QUAVER_KERNEL=".
void expect_kernels(std::string_view names, IsaSet set, std::string_view source);

}  // namespace quaver
