#include "kernels/resize/x86_resize.h"

namespace quaver::kernels {

const ResizeKernel kResizeAvx512Vnni[kResizeKinds] = QUAVER_RESIZE_KERNELS(avx512vnni);

}  // namespace quaver::kernels
