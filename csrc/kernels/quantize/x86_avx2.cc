#include "kernels/quantize/kernels.h"
#include "kernels/quantize/quantize_x86.h"

QUAVER_QUANTIZE_DEFINE(avx2, quantize_x86, range_x86)
