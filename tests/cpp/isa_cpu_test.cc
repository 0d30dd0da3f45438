#include "isa/cpu.h"

#include <cstdlib>

#include "base/error.h"
#include "cpp/check.h"

namespace quaver {
namespace {

TEST(isa_names_and_limits) {
  const IsaSet here = detected_isa();
  CHECK(here.has(Isa::scalar));
  CHECK_EQ(usable_isa("scalar").bits, 1U);
  CHECK_THROWS(usable_isa("sse9"), Error, "no such instruction set; this CPU has scalar");
  for (int i = 0; i < kIsaCount; ++i) {
    const Isa isa = static_cast<Isa>(i);
    if (here.has(isa)) {
      CHECK(usable_isa(name_of(isa)).has(isa));
      CHECK_EQ(best(usable_isa(name_of(isa))), isa);
      CHECK_EQ(usable_isa(name_of(isa)).bits & ~here.bits, 0U);
    } else {
      CHECK_THROWS(usable_isa(name_of(isa)), Error, "this CPU does not have it; it has scalar");
    }
  }
}

TEST(isa_environment_is_the_default_limit) {
  ::setenv("QUAVER_ISA", "scalar", 1);
  CHECK_EQ(usable_isa(std::nullopt).bits, 1U);
  ::setenv("QUAVER_ISA", "nonsense", 1);
  CHECK_THROWS(usable_isa(std::nullopt), Error, "QUAVER_ISA=nonsense");
  ::unsetenv("QUAVER_ISA");
  CHECK_EQ(usable_isa(std::nullopt), detected_isa());
}

}  // namespace
}  // namespace quaver
