// The compiler's x86 intrinsics. GCC 12 takes the undefined operands inside its own AVX-512 header for a mistake (its
// bug 105593).
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
