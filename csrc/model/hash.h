// XXH64, as its specification defines it (https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md).
// It finds accidents (a damaged disk, a cut download), not an adversary.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace quaver {

std::uint64_t xxh64(std::span<const std::byte> bytes, std::uint64_t seed = 0) noexcept;

}  // namespace quaver
