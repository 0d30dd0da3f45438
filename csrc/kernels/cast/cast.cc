#include "kernels/cast/cast.h"

#include "kernels/pick.h"

namespace quaver::kernels {

extern const CastKernel kCast_scalar, kCast_avx2, kCast_avx512vnni;

namespace {

#if defined(__x86_64__)
const CastKernel* const all[] = {&kCast_scalar, &kCast_avx2, &kCast_avx512vnni};
#else
const CastKernel* const all[] = {&kCast_scalar};
#endif

}  // namespace

CastList cast_kernels() { return list_of<CastList>(all); }
const CastKernel& pick_cast(IsaSet set) { return pick_best(all, set); }

}  // namespace quaver::kernels
