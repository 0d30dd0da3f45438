#include "model/hash.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <array>
#include <bit>
#include <cstring>

namespace quaver {
namespace {

constexpr std::uint64_t kPrime32_1 = 0x9E3779B1u, kPrime32_2 = 0x85EBCA77u, kPrime32_3 = 0xC2B2AE3Du;
constexpr std::uint64_t kPrime64_1 = 0x9E3779B185EBCA87u, kPrime64_2 = 0xC2B2AE3D27D4EB4Fu,
                        kPrime64_3 = 0x165667B19E3779F9u, kPrime64_4 = 0x85EBCA77C2B2AE63u,
                        kPrime64_5 = 0x27D4EB2F165667C5u;
constexpr std::uint64_t kMix1 = 0x165667919E3779F9u, kMix2 = 0x9FB21C651E98DF25u;

// The default secret.
constexpr std::array<std::uint8_t, 192> kSecret{
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c, 0xde, 0xd4,
    0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f, 0xcb, 0x79, 0xe6, 0x4e,
    0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21, 0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43,
    0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c, 0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb,
    0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3, 0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19,
    0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8, 0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7,
    0xc7, 0x0b, 0x4f, 0x1d, 0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78,
    0x73, 0x64, 0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
    0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e, 0x2b, 0x16,
    0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce, 0x45, 0xcb, 0x3a, 0x8f,
    0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e};

// The file is little endian, and so is every machine that reads it.
template <class T>
std::uint64_t load(const void* at, std::size_t offset = 0) noexcept {
  T word;
  std::memcpy(&word, static_cast<const std::byte*>(at) + offset, sizeof word);
  return word;
}

std::uint64_t word(const std::byte* at) noexcept { return load<std::uint64_t>(at); }
std::uint64_t secret(std::size_t offset) noexcept { return load<std::uint64_t>(kSecret.data(), offset); }

std::uint64_t fold(std::uint64_t a, std::uint64_t b) noexcept {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t avalanche(std::uint64_t x) noexcept {
  x = (x ^ x >> 37) * kMix1;
  return x ^ x >> 32;
}

std::uint64_t avalanche_short(std::uint64_t x) noexcept {
  x = (x ^ x >> 33) * kPrime64_2;
  x = (x ^ x >> 29) * kPrime64_3;
  return x ^ x >> 32;
}

// Up to 16 bytes.
std::uint64_t of_few(const std::byte* at, std::size_t size) noexcept {
  if (size > 8) {
    const std::uint64_t low = secret(24) ^ secret(32) ^ word(at);
    const std::uint64_t high = secret(40) ^ secret(48) ^ word(at + size - 8);
    return avalanche(size + __builtin_bswap64(low) + high + fold(low, high));
  }
  if (size >= 4) {
    std::uint64_t x = load<std::uint32_t>(at, size - 4) | load<std::uint32_t>(at) << 32;
    x ^= secret(8) ^ secret(16);
    x = (x ^ std::rotl(x, 49) ^ std::rotl(x, 24)) * kMix2;
    x = (x ^ ((x >> 35) + size)) * kMix2;
    return x ^ x >> 28;
  }
  if (size == 0) return avalanche_short(secret(56) ^ secret(64));
  const auto byte = [&](std::size_t i) { return load<std::uint8_t>(at, i); };
  const std::uint64_t x = byte(size - 1) | size << 8 | byte(0) << 16 | byte(size / 2) << 24;
  return avalanche_short(load<std::uint32_t>(kSecret.data()) ^ load<std::uint32_t>(kSecret.data(), 4) ^ x);
}

std::uint64_t mix(const std::byte* at, std::size_t offset) noexcept {
  return fold(word(at) ^ secret(offset), word(at + 8) ^ secret(offset + 8));
}

// 17 to 240 bytes.
std::uint64_t of_some(const std::byte* at, std::size_t size) noexcept {
  std::uint64_t sum = size * kPrime64_1;
  if (size <= 128) {
    for (std::size_t i = 0; i <= (size - 1) / 32; ++i) {
      sum += mix(at + 16 * i, 32 * i) + mix(at + size - 16 * (i + 1), 32 * i + 16);
    }
    return avalanche(sum);
  }
  for (std::size_t i = 0; i < 8; ++i) sum += mix(at + 16 * i, 16 * i);
  sum = avalanche(sum);
  for (std::size_t i = 8; i < size / 16; ++i) sum += mix(at + 16 * i, 16 * (i - 8) + 3);
  return avalanche(sum + mix(at + size - 16, 119));
}

constexpr std::size_t kStripe = 64, kStripes = (kSecret.size() - kStripe) / 8, kBlock = kStripes * kStripe;
constexpr std::size_t kAhead = 1024;  // bytes, by when they come from the third-level cache

// Two lanes.
using Pair [[gnu::vector_size(16)]] = std::uint64_t;

Pair pair(const void* at) noexcept {
  Pair words;
  std::memcpy(&words, at, sizeof words);
  return words;
}

// Of each word its lower half times its upper one.
Pair product_of_halves(Pair words) noexcept {
#ifdef __SSE2__
  return reinterpret_cast<Pair>(
      _mm_mul_epu32(reinterpret_cast<__m128i>(words), reinterpret_cast<__m128i>(words >> 32)));
#else
  return (words & 0xFFFFFFFFu) * (words >> 32);
#endif
}

struct Lanes {
  Pair sums[4] = {
      {kPrime32_3, kPrime64_1}, {kPrime64_2, kPrime64_3}, {kPrime64_4, kPrime32_2}, {kPrime64_5, kPrime32_1}};

  [[gnu::always_inline]] void add(const std::byte* stripe, std::size_t offset) noexcept {
#pragma GCC unroll 4
    for (std::size_t i = 0; i < 4; ++i) {
      const Pair x = pair(stripe + 16 * i);
      sums[i] += product_of_halves(x ^ pair(kSecret.data() + offset + 16 * i)) + Pair{x[1], x[0]};
    }
  }

  [[gnu::always_inline]] void add_stripes(const std::byte* at, std::size_t count) noexcept {
    for (std::size_t i = 0; i < count; ++i, at += kStripe) {
      __builtin_prefetch(at + kAhead);
      add(at, 8 * i);
    }
  }

  [[gnu::always_inline]] void scramble() noexcept {
#pragma GCC unroll 4
    for (std::size_t i = 0; i < 4; ++i) {
      sums[i] ^= sums[i] >> 47 ^ pair(kSecret.data() + kSecret.size() - kStripe + 16 * i);
      sums[i] *= kPrime32_1;
    }
  }
};

std::uint64_t of_many(const std::byte* at, std::size_t size) noexcept {
  const std::byte* const end = at + size;
  Lanes lanes;
  for (; static_cast<std::size_t>(end - at) > kBlock; at += kBlock) {
    lanes.add_stripes(at, kStripes);
    lanes.scramble();
  }
  lanes.add_stripes(at, static_cast<std::size_t>(end - at - 1) / kStripe);
  lanes.add(end - kStripe, kSecret.size() - kStripe - 7);
  std::uint64_t hash = size * kPrime64_1;
  for (std::size_t i = 0; i < 4; ++i) {
    const Pair mixed = lanes.sums[i] ^ pair(kSecret.data() + 11 + 16 * i);
    hash += fold(mixed[0], mixed[1]);
  }
  return avalanche(hash);
}

}  // namespace

std::uint64_t xxh3(std::span<const std::byte> bytes) noexcept {
  const std::byte* at = bytes.data();
  const std::size_t size = bytes.size();
  return size <= 16 ? of_few(at, size) : size <= 240 ? of_some(at, size) : of_many(at, size);
}

}  // namespace quaver
