#include "kernels/cast/cast_loops.h"

namespace quaver::kernels {
extern const CastKernel kCast_scalar;
constexpr CastKernel kCast_scalar{"cast_scalar", Isa::scalar, &cast};
}  // namespace quaver::kernels
