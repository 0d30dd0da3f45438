#include "kernels/pool/x86_pool.h"

namespace quaver::kernels {

const PoolKernel kPoolAvx2[kPoolKinds] = QUAVER_POOL_KERNELS(avx2);

}  // namespace quaver::kernels
