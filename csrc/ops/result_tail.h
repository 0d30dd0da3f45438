// What becomes of a product's results while they are in the nearest cache: bytes are looked up in tables, floats go
// through functions and may be rounded to bytes.
#pragma once

#include "ops/op.h"
#include "ops/real_tail.h"
#include "ops/table_tail.h"

namespace quaver {

struct ResultTail {
  // Rows of results as a kernel writes them, `stride` bytes apart.
  struct Made {
    std::byte* at;
    std::size_t stride;
  };

  TableTail tables;
  RealTail reals;
  std::size_t tile = 0;  // where floats lie in the scratch before they are bytes

  // Where rows of so many columns are to be made that begin at byte `place` of the value y, `stride` bytes apart.
  Made aim(const RunContext& context, ValueId y, std::size_t place, std::size_t columns, std::size_t stride) const {
    if (!reals.makes_bytes()) return {context.as<std::byte>(y) + place, stride};
    return {context.scratch + tile, columns * sizeof(float)};
  }

  // What was made there becomes what y has to hold.
  void finish(Made made, const RunContext& context, ValueId y, std::size_t place, std::size_t rows, std::size_t columns,
              std::size_t stride) const {
    tables.run(context, place, rows, columns, stride);
    reals.run(made.at, rows, columns, made.stride);
    if (reals.makes_bytes()) reals.store(made.at, rows, columns, context.as<std::byte>(y), place, stride);
  }

  // Runs `call`, whose results begin at byte `place` of the value y, `stride` bytes between rows.
  template <class Kernel, class Args>
  void run(const Kernel& kernel, Args& call, const RunContext& context, ValueId y, std::size_t place,
           std::size_t stride) const {
    const Made made = aim(context, y, place, call.n, stride);
    call.c = reinterpret_cast<decltype(call.c)>(made.at);
    call.c_stride = made.stride;
    kernel.run(call);
    finish(made, context, y, place, call.m, call.n, stride);
  }
};

}  // namespace quaver
