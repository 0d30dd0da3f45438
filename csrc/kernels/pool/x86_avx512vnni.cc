#include "kernels/pool/x86_pool.h"

namespace quaver::kernels {

const PoolKernel kPoolAvx512Vnni[kPoolKinds] = QUAVER_POOL_KERNELS(avx512vnni);

}  // namespace quaver::kernels
