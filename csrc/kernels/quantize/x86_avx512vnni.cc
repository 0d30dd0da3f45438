#include "kernels/quantize/kernels.h"
#include "kernels/quantize/quantize_x86.h"

QUAVER_QUANTIZE_DEFINE(avx512vnni, quantize_x86, range_x86)
