#include "model/hash.h"

#include <cstring>
#include <string_view>
#include <vector>

#include "cpp/check.h"

namespace {

using quaver::xxh64;

std::uint64_t of(std::string_view text, std::uint64_t seed = 0) {
  return xxh64(std::as_bytes(std::span(text.data(), text.size())), seed);
}

// The generator of the reference implementation's sanity test (xxhsum.c, XSUM_fillTestBuffer).
std::vector<std::byte> reference_buffer(std::size_t size) {
  std::vector<std::byte> bytes(size);
  std::uint64_t state = 2654435761u;
  for (std::byte& byte : bytes) {
    byte = static_cast<std::byte>(state >> 56);
    state *= 11400714785074694797u;
  }
  return bytes;
}

}  // namespace

TEST(hash_matches_published_vectors) {
  CHECK_EQ(of(""), 0xEF46DB3751D8E999u);
  CHECK_EQ(of("a"), 0xD24EC4F1A98C6E5Bu);
  CHECK_EQ(of("abc"), 0x44BC2CF5AD770999u);
  CHECK_EQ(of("Nobody inspects the spammish repetition"), 0xFBCEA83C8A378BF1u);
}

TEST(hash_matches_the_reference_sanity_test) {
  const auto bytes = reference_buffer(222);
  const auto first = [&](std::size_t n, std::uint64_t seed) { return xxh64(std::span(bytes).first(n), seed); };
  constexpr std::uint64_t kPrime = 2654435761u;
  CHECK_EQ(first(0, 0), 0xEF46DB3751D8E999u);
  CHECK_EQ(first(0, kPrime), 0xAC75FDA2929B17EFu);
  CHECK_EQ(first(1, 0), 0xE934A84ADB052768u);
  CHECK_EQ(first(1, kPrime), 0x5014607643A9B4C3u);
  CHECK_EQ(first(4, 0), 0x9136A0DCA57457EEu);
  CHECK_EQ(first(14, 0), 0x8282DCC4994E35C8u);
  CHECK_EQ(first(14, kPrime), 0xC3BD6BF63DEB6DF0u);
  CHECK_EQ(first(222, 0), 0xB641AE8CB691C174u);
  CHECK_EQ(first(222, kPrime), 0x20CB8AB7AE10C14Au);
}

TEST(hash_sees_every_byte) {
  for (std::size_t size : {1, 3, 4, 7, 8, 9, 31, 32, 33, 63, 64, 65, 100}) {
    auto bytes = reference_buffer(size);
    const std::uint64_t before = xxh64(bytes);
    for (std::byte& byte : bytes) {
      byte ^= std::byte{1};
      CHECK(xxh64(bytes) != before);
      byte ^= std::byte{1};
    }
  }
}
