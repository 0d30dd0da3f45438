#include "isa/cpu.h"

#include <cstdlib>
#include <cstring>

#include "base/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace quaver {
namespace {

constexpr std::uint32_t kImplied[] = {
#define QUAVER_BIT(name) (1U << static_cast<int>(Isa::name))
#define QUAVER_ISA_ROW(arch, name, implied, flags) implied,
#include "isa/isa.def"
#undef QUAVER_ISA_ROW
};

#if defined(__x86_64__)

struct Leaf {
  unsigned a = 0, b = 0, c = 0, d = 0;
  Leaf(unsigned leaf, unsigned sub) { __get_cpuid_count(leaf, sub, &a, &b, &c, &d); }
};

constexpr bool all(unsigned value, unsigned mask) { return (value & mask) == mask; }

// XCR0: the register files that the operating system saves (Intel SDM vol. 1, 13.3).
std::uint64_t saved_state() {
  if (!all(Leaf(1, 0).c, bit_OSXSAVE)) return 0;
  std::uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<std::uint64_t>(high) << 32 | low;
}

// Linux gives the tiles' 8 kB of registers only to a process that asks (Documentation/arch/x86/xstate.rst); refused,
// AMX is not there.
bool may_use_tiles() {
#if defined(__linux__)
  constexpr int kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

IsaSet detect() {
  const Leaf one(1, 0), seven(7, 0), seven_one(7, 1);
  const std::uint64_t saved = saved_state();
  const bool ymm = (saved & 0x6) == 0x6, zmm = (saved & 0xE6) == 0xE6;
  IsaSet set;
  const auto add = [&](Isa isa) { set.bits |= 1U << static_cast<int>(isa); };
  if (!ymm || !all(one.c, bit_FMA | bit_F16C | bit_AVX) || !all(seven.b, bit_AVX2)) return set;
  add(Isa::avx2);
  constexpr unsigned kAvxVnni = 1U << 4, kAvx512Bf16 = 1U << 5;
  if (all(seven_one.a, kAvxVnni)) add(Isa::avxvnni);
  if (zmm && all(seven.b, bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL) && all(seven.c, bit_AVX512VNNI)) {
    add(Isa::avx512vnni);
    if (all(seven.c, bit_AVX512VBMI)) add(Isa::avx512vbmi);
    if (set.has(Isa::avx512vbmi) && all(seven_one.a, kAvx512Bf16)) add(Isa::avx512bf16);
    constexpr unsigned kAmxBf16 = 1U << 22, kAmxTile = 1U << 24, kAmxInt8 = 1U << 25;
    constexpr std::uint64_t kTileState = 3U << 17;
    const bool tiles = all(seven.d, kAmxBf16 | kAmxTile | kAmxInt8) && (saved & kTileState) == kTileState;
    if (set.has(Isa::avx512bf16) && tiles && may_use_tiles()) add(Isa::amx);
  }
  return set;
}

#elif defined(__aarch64__) && defined(__linux__)

IsaSet detect() {
  constexpr unsigned long kAsimdDp = 1UL << 20;  // HWCAP_ASIMDDP
  IsaSet set;
  if (getauxval(AT_HWCAP) & kAsimdDp) set.bits |= 1U << static_cast<int>(Isa::neondot);
  return set;
}

#else

IsaSet detect() { return {}; }

#endif

}  // namespace

IsaSet detected_isa() noexcept {
  static const IsaSet set = detect();
  return set;
}

IsaSet usable_isa(std::optional<std::string_view> limit) {
  const IsaSet here = detected_isa();
  const char* variable = std::getenv("QUAVER_ISA");
  const bool from_environment = !limit && variable && *variable;
  if (from_environment) limit = variable;
  if (!limit) return here;
  const char* source = from_environment ? "QUAVER_ISA=" : "isa=";
  for (int i = 0; i < kIsaCount; ++i) {
    if (*limit != kIsaNames[i]) continue;
    if (!here.has(static_cast<Isa>(i))) {
      fail(Status::isa, source, *limit, ": this CPU does not have it; it has ", to_string(here));
    }
    return IsaSet{1U << i | kImplied[i]};
  }
  fail(Status::isa, source, *limit, ": no such instruction set; this CPU has ", to_string(here));
}

Isa best(IsaSet set) noexcept { return static_cast<Isa>(31 - __builtin_clz(set.bits | 1)); }

std::string to_string(IsaSet set) {
  std::string out;
  for (int i = 0; i < kIsaCount; ++i) {
    if (set.has(static_cast<Isa>(i))) out += (out.empty() ? "" : ", ") + std::string(kIsaNames[i]);
  }
  return out;
}

std::string cpu_name() {
#if defined(__x86_64__)
  char brand[49] = {};
  for (unsigned i = 0; i < 3; ++i) {
    const Leaf leaf(0x80000002 + i, 0);
    std::memcpy(brand + 16 * i, &leaf, 16);
  }
  const std::string name(brand);
  const auto first = name.find_first_not_of(' '), last = name.find_last_not_of(' ');
  if (first != std::string::npos) return name.substr(first, last - first + 1);
#endif
  return "unknown CPU";
}

}  // namespace quaver
