#include "kernels/cast/cast_loops.h"

namespace quaver::kernels {
extern const CastKernel kCast_avx2;
constexpr CastKernel kCast_avx2{"cast_avx2", Isa::avx2, &cast};
}  // namespace quaver::kernels
