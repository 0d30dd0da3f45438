// Transposing a matrix: c[j][i] = a[i][j] for i < rows, j < cols, elements of 1, 2, 4 or 8 bytes.
// a and c do not overlap; nothing outside the two matrices is touched.
#pragma once

#include <cstddef>

#include "isa/isa.h"

namespace quaver::kernels {

struct TransposeArgs {
  std::size_t rows = 0, cols = 0;
  const void* a = nullptr;
  std::size_t a_stride = 0;  // bytes between rows of a
  void* c = nullptr;
  std::size_t c_stride = 0;  // bytes between rows of c
};

struct TransposeKernel {
  const char* name;
  Isa isa;
  std::size_t element;  // bytes
  void (*run)(const TransposeArgs&);
};

struct TransposeList {
  const TransposeKernel* const* items;
  std::size_t size;
};
TransposeList transpose_kernels();
const TransposeKernel& pick_transpose(IsaSet set, std::size_t element);

}  // namespace quaver::kernels
