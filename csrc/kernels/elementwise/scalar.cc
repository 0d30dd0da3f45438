#include "kernels/elementwise/binary_loops.h"
#include "kernels/elementwise/kernels.h"
#include "kernels/elementwise/number_loops.h"
#include "kernels/elementwise/table_loops.h"
#include "kernels/elementwise/unary_loops.h"

QUAVER_ELEMENTWISE_DEFINE(scalar, binary_u8, table_bytes)
