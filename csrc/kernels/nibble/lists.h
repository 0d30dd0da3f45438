// The kernels of each file, gathered by nibble.cc and panels.cc.
#pragma once

#include "kernels/nibble/nibble.h"
#include "kernels/nibble/panels.h"

namespace quaver::kernels {

extern const NibbleKernel kNibbleScalar, kNibbleAvx2, kNibbleAvx512Vnni;
extern const NibblePanelKernel kNibblePanelsScalar, kNibblePanelsAvx2, kNibblePanelsAvx512Vnni;

}  // namespace quaver::kernels
