// Random damage to a file, from a seed.
#pragma once

#include <cstdint>
#include <random>

#include "cpp/model_sample.h"

namespace sample {

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}

  // One to four changes; every second file gets a root hash that agrees with them.
  void damage(File& file) {
    const Header header = header_of(file);
    for (std::uint64_t n = 1 + below(4); n > 0; --n) change(file, header);
    if (below(8) == 0) file.resize(below(2) ? below(file.size() + 1) : file.size() + below(100));
    if (below(2) && file.size() >= sizeof(Header)) agree(file);
  }

 private:
  std::uint64_t below(std::uint64_t n) { return random_() % n; }

  // Mostly in the root, where nearly every byte means something.
  std::size_t place(const File& file, const Header& header) {
    if (below(16) == 0) return below(file.size());
    if (below(16) == 0) return below(sizeof(Header));
    return header.root_offset + below(file.size() - header.root_offset);
  }

  void change(File& file, const Header& header) {
    static constexpr std::uint64_t kTelling[] = {0,          1,          2,          7,          63,         64,
                                                 255,        4096,       0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1ull << 40,
                                                 1ull << 62, 1ull << 63, ~0ull,      ~0ull - 63};
    const std::size_t at = place(file, header);
    const std::size_t size = std::min<std::size_t>(std::size_t{1} << below(4), file.size() - at);
    switch (below(4)) {
      case 0: file[at] ^= std::byte(1u << below(8)); break;
      case 1: file[at] = std::byte(below(256)); break;
      case 2: std::memcpy(&file[at], &kTelling[below(std::size(kTelling))], size); break;
      case 3: {
        const std::size_t from = place(file, header);
        std::memmove(&file[at], &file[from], std::min(size, file.size() - from));
      }
    }
  }

  // Sizes and hash as the header should have them for these bytes.
  static void agree(File& file) {
    Header header = header_of(file);
    header.file_size = file.size();
    header.root_size = file.size() - header.root_offset;
    set_header(file, header);
    rehash(file);
  }

  std::mt19937_64 random_;
};

}  // namespace sample
