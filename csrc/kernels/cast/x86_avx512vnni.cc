#include "kernels/cast/cast_loops.h"

namespace quaver::kernels {
extern const CastKernel kCast_avx512vnni;
constexpr CastKernel kCast_avx512vnni{"cast_avx512vnni", Isa::avx512vnni, &cast};
}  // namespace quaver::kernels
