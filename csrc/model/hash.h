// XXH3's 64 bits without a seed, as its specification defines them
// (https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md). It finds accidents (a damaged disk, a cut download), not an
// adversary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace quaver {

std::uint64_t xxh3(std::span<const std::byte> bytes) noexcept;

}  // namespace quaver
