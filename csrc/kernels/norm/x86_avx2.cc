#include "kernels/norm/x86_norm.h"

namespace quaver::kernels {

const LayerNormKernel kLayerNormAvx2 = {"layer_norm_avx2", Isa::avx2, &layer_norm};

}  // namespace quaver::kernels
