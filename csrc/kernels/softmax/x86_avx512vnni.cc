#include "kernels/softmax/x86_softmax.h"

namespace quaver::kernels {

const SoftmaxKernel kSoftmaxAvx512Vnni = {"softmax_avx512vnni", Isa::avx512vnni, &softmax};

}  // namespace quaver::kernels
