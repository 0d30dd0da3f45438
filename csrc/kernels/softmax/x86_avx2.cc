#include "kernels/softmax/x86_softmax.h"

namespace quaver::kernels {

const SoftmaxKernel kSoftmaxAvx2 = {"softmax_avx2", Isa::avx2, &softmax};

}  // namespace quaver::kernels
