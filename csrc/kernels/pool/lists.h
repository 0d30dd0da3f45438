// The kernels of each file, gathered by pool.cc.
#pragma once

#include "kernels/pool/pool.h"

namespace quaver::kernels {

inline constexpr int kPoolKinds = 4;
extern const PoolKernel kPoolScalar[kPoolKinds];
extern const PoolKernel kPoolAvx2[kPoolKinds];
extern const PoolKernel kPoolAvx512Vnni[kPoolKinds];

}  // namespace quaver::kernels
