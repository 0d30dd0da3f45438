// Any function of a byte: y[i] = table[x[i]]. y may be x itself; otherwise the two don't overlap.
#pragma once

#include <cstddef>
#include <cstdint>

#include "isa/isa.h"

namespace quaver::kernels {

struct TableArgs {
  std::size_t n = 0;
  const std::uint8_t* x = nullptr;
  const std::uint8_t* table = nullptr;  // [256]
  std::uint8_t* y = nullptr;
};

struct TableKernel {
  const char* name;  // "table_avx2"
  Isa isa;
  void (*run)(const TableArgs&);
};

// All kernels built in, the scalar definition first, and the best of `set`.
struct TableList {
  const TableKernel* const* items;
  std::size_t size;
};
TableList table_kernels();
const TableKernel& pick_table(IsaSet set);

}  // namespace quaver::kernels
