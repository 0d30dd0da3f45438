#include "kernels/nibble/nibble.h"

#include <cstring>

#include "kernels/nibble/lists.h"
#include "kernels/pick.h"

namespace quaver::kernels {
namespace {

constexpr const NibbleKernel* kKernels[] = {
    &kNibbleScalar,
#if defined(__x86_64__)
    &kNibbleAvx2,
    &kNibbleAvx512Vnni,
#endif
};

}  // namespace

void pack_nibbles(std::size_t n, std::size_t k, std::size_t block, const std::uint8_t* from, std::uint8_t* to) {
  const std::size_t column = (k + block - 1) / block * block / 2;
  for (std::size_t j = 0; j < n; ++j, from += column) {
    for (std::size_t first = 0; first < k; first += kNibbleGroup, to += kNibbleGroupBytes) {
      for (std::size_t l = 0; l < 16; ++l) {
        std::uint32_t word = 0;
        for (std::size_t t = 0; t < 8; ++t) {
          const std::size_t p = first + 16 * t + l;
          if (p < k) word |= static_cast<std::uint32_t>(from[p / 2] >> p % 2 * 4 & 15) << 4 * t;
        }
        std::memcpy(to + 4 * l, &word, sizeof word);
      }
    }
  }
}

NibbleList nibble_kernels() { return list_of<NibbleList>(kKernels); }
const NibbleKernel& pick_nibble(IsaSet set) { return pick_best(kKernels, set); }

}  // namespace quaver::kernels
