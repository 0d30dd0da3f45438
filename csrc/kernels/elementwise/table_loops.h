// The definition of table.h.
#pragma once

#include "kernels/elementwise/table.h"

namespace quaver::kernels {
namespace {

void table_bytes(const TableArgs& args) {
  const std::uint8_t *x = args.x, *table = args.table;
  std::uint8_t* y = args.y;
#pragma GCC ivdep
  for (std::size_t i = 0; i < args.n; ++i) y[i] = table[x[i]];
}

}  // namespace
}  // namespace quaver::kernels
