#include "kernels/norm/x86_norm.h"

namespace quaver::kernels {

const LayerNormKernel kLayerNormAvx512Vnni = {"layer_norm_avx512vnni", Isa::avx512vnni, &layer_norm};

}  // namespace quaver::kernels
