#include "kernels/nibble/panels.h"

#include <cstring>

#include "kernels/nibble/lists.h"
#include "kernels/pick.h"

namespace quaver::kernels {
namespace {

constexpr const NibblePanelKernel* kKernels[] = {
    &kNibblePanelsScalar,
#if defined(__x86_64__)
    &kNibblePanelsAvx2,
    &kNibblePanelsAvx512Vnni,
#endif
};

}  // namespace

void pack_nibble_panels(const NibblePanels& shape, const std::uint8_t* from, std::uint8_t* to) {
  const std::size_t depth = shape.blocks() * shape.block;
  std::memset(to, 0, shape.panels() * shape.panel_bytes());
  for (std::size_t j = 0; j < shape.n; ++j) {
    std::uint8_t* column = to + j / kNibblePanel * shape.panel_bytes() + j % kNibblePanel * 4;
    for (std::size_t p = 0; p < depth; ++p) {
      const auto q = static_cast<std::uint8_t>(from[(j * depth + p) / 2] >> p % 2 * 4 & 15);
      column[p / kNibbleStep * 64 + p % 4] |= static_cast<std::uint8_t>(q << p % kNibbleStep / 4 * 4);
    }
  }
}

NibblePanelList nibble_panel_kernels() { return list_of<NibblePanelList>(kKernels); }
const NibblePanelKernel& pick_nibble_panels(IsaSet set) { return pick_best(kKernels, set); }

}  // namespace quaver::kernels
