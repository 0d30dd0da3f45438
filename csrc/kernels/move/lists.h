// The kernels of each file, gathered by transpose.cc.
#pragma once

#include "kernels/move/transpose.h"

namespace quaver::kernels {

extern const TransposeKernel kTransposeScalar[4];  // 1, 2, 4, 8 bytes
extern const TransposeKernel kTransposeAvx2[2];    // 1, 4 bytes

}  // namespace quaver::kernels
