// The kernels of each file, gathered by resize.cc.
#pragma once

#include "kernels/resize/resize.h"

namespace quaver::kernels {

inline constexpr int kResizeKinds = 2;
extern const ResizeKernel kResizeScalar[kResizeKinds];
extern const ResizeKernel kResizeAvx2[kResizeKinds];
extern const ResizeKernel kResizeAvx512Vnni[kResizeKinds];

}  // namespace quaver::kernels
