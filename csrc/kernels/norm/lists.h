// The kernel of each file, gathered by norm.cc.
#pragma once

#include "kernels/norm/norm.h"

namespace quaver::kernels {

extern const LayerNormKernel kLayerNormScalar, kLayerNormAvx2, kLayerNormAvx512Vnni;

}  // namespace quaver::kernels
