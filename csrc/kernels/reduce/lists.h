// The kernels of each file, gathered by reduce.cc.
#pragma once

#include "kernels/reduce/reduce.h"

namespace quaver::kernels {

inline constexpr int kReduceKinds = 4;
extern const ReduceKernel kReduceScalar[kReduceKinds];
extern const ReduceKernel kReduceAvx2[kReduceKinds];
extern const ReduceKernel kReduceAvx512Vnni[kReduceKinds];

}  // namespace quaver::kernels
