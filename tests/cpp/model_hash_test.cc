#include "model/hash.h"

#include <cstring>
#include <string_view>
#include <vector>

#include "cpp/check.h"

namespace {

using quaver::xxh3;

std::uint64_t of(std::string_view text) { return xxh3(std::as_bytes(std::span(text.data(), text.size()))); }

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

// What the reference implementation (xxhash 0.8) answers, at both ends of each of its ways.
TEST(hash_matches_the_reference) {
  CHECK_EQ(of("a"), 0xE6C632B61E964E1Fu);
  CHECK_EQ(of("abc"), 0x78AF5F94892F3950u);
  CHECK_EQ(of("Nobody inspects the spammish repetition"), 0x6CB00603B5CC47E9u);
  const struct {
    std::size_t size;
    std::uint64_t hash;
  } known[] = {
      {0, 0x2D06800538D394C2u},    {1, 0xC44BDFF4074EECDBu},    {3, 0x54247382A8D6B94Du},    {4, 0xE5DC74BC51848A51u},
      {8, 0x24CCC9ACAA9F65E4u},    {9, 0x14D5001C15DD3F2Bu},    {16, 0x981B17D36C7498C9u},   {17, 0x796F5ACD3A60F862u},
      {128, 0xFCFF24126754D861u},  {129, 0x98F1B0A679A2CA29u},  {240, 0x81C3C2B67F568CCFu},  {241, 0xC5A639ECD2030E5Eu},
      {1024, 0xDD85C9B5C1109C5Cu}, {1025, 0xD870C0FA13211C6Au}, {2240, 0x6E73A90539CF2948u},
  };
  const auto bytes = reference_buffer(2240);
  for (const auto& [size, hash] : known) CHECK_EQ(xxh3(std::span(bytes).first(size)), hash);
}

TEST(hash_sees_every_byte) {
  for (std::size_t size : {1, 3, 4, 7, 8, 9, 16, 17, 33, 64, 65, 128, 129, 240, 241, 1100}) {
    auto bytes = reference_buffer(size);
    const std::uint64_t before = xxh3(bytes);
    for (std::byte& byte : bytes) {
      byte ^= std::byte{1};
      CHECK(xxh3(bytes) != before);
      byte ^= std::byte{1};
    }
  }
}
