// The kernel of each file, gathered by nibble.cc.
#pragma once

#include "kernels/nibble/nibble.h"

namespace quaver::kernels {

extern const NibbleKernel kNibbleScalar, kNibbleAvx2, kNibbleAvx512Vnni;

}  // namespace quaver::kernels
