// The kernels of each file, gathered by tree.cc.
#pragma once

#include "kernels/tree/tree.h"

namespace quaver::kernels {

extern const TreeKernel<float> kTreeScalarF32;
extern const TreeKernel<double> kTreeScalarF64;

}  // namespace quaver::kernels
