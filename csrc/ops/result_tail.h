// What becomes of a product's results while they are in the nearest cache: bytes are looked up in tables, floats go
// through functions and may be rounded to bytes.
#pragma once

#include "ops/op.h"
#include "ops/real_tail.h"
#include "ops/table_tail.h"

namespace quaver {

struct ResultTail {
  TableTail tables;
  RealTail reals;
  std::size_t tile = 0;  // where floats lie in the scratch before they are bytes

  // Runs `call`, whose results begin at byte `place` of the value y, `stride` bytes between rows.
  template <class Kernel, class Args>
  void run(const Kernel& kernel, Args& call, const RunContext& context, ValueId y, std::size_t place,
           std::size_t stride) const {
    const bool tiled = reals.makes_bytes();
    std::byte* const output = context.as<std::byte>(y);
    std::byte* const made = tiled ? context.scratch + tile : output + place;
    call.c = reinterpret_cast<decltype(call.c)>(made);
    call.c_stride = tiled ? call.n * sizeof(float) : stride;
    kernel.run(call);
    tables.run(context, place, call.m, call.n, stride);
    reals.run(made, call.m, call.n, call.c_stride);
    if (tiled) reals.store(made, call.m, call.n, output, place, stride);
  }
};

}  // namespace quaver
