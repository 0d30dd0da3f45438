#include "kernels/pick.h"
#include "kernels/quantize/kernels.h"

namespace quaver::kernels {
namespace {

#if defined(__x86_64__)
#define QUAVER_ALL(family) {&family##_scalar, &family##_avx2, &family##_avx512vnni}
#else
#define QUAVER_ALL(family) {&family##_scalar}
#endif

const QuantizeKernel* const quantize_all[] = QUAVER_ALL(kQuantize);
const DequantizeKernel* const dequantize_all[] = QUAVER_ALL(kDequantize);
const RangeKernel* const range_all[] = QUAVER_ALL(kRange);

}  // namespace

QuantizeList quantize_kernels() { return list_of<QuantizeList>(quantize_all); }
DequantizeList dequantize_kernels() { return list_of<DequantizeList>(dequantize_all); }
RangeList range_kernels() { return list_of<RangeList>(range_all); }

const QuantizeKernel& pick_quantize(IsaSet set) { return pick_best(quantize_all, set); }
const DequantizeKernel& pick_dequantize(IsaSet set) { return pick_best(dequantize_all, set); }
const RangeKernel& pick_range(IsaSet set) { return pick_best(range_all, set); }

}  // namespace quaver::kernels
