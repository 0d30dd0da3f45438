#include "kernels/reduce/x86_reduce.h"

namespace quaver::kernels {

const ReduceKernel kReduceAvx512Vnni[kReduceKinds] = QUAVER_REDUCE_KERNELS(avx512vnni);

}  // namespace quaver::kernels
