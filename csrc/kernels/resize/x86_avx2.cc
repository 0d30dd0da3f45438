#include "kernels/resize/x86_resize.h"

namespace quaver::kernels {

const ResizeKernel kResizeAvx2[kResizeKinds] = QUAVER_RESIZE_KERNELS(avx2);

}  // namespace quaver::kernels
