#include "kernels/reduce/x86_reduce.h"

namespace quaver::kernels {

const ReduceKernel kReduceAvx2[kReduceKinds] = QUAVER_REDUCE_KERNELS(avx2);

}  // namespace quaver::kernels
