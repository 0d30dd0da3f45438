#include "kernels/quantize/kernels.h"
#include "kernels/quantize/loops.h"

QUAVER_QUANTIZE_DEFINE(scalar, quantize_f32, range_f32)
