// The kernel of each file, gathered by softmax.cc.
#pragma once

#include "kernels/softmax/softmax.h"

namespace quaver::kernels {

extern const SoftmaxKernel kSoftmaxScalar, kSoftmaxAvx2, kSoftmaxAvx512Vnni;

}  // namespace quaver::kernels
