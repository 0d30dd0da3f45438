// Tables that a step looks its results up in while they are still in the nearest cache, in place of steps of their own
// (Step::absorb_table).
#pragma once

#include <algorithm>
#include <vector>

#include "kernels/elementwise/table.h"
#include "ops/op.h"
#include "ops/requantize.h"

namespace quaver {

class TableTail {
 public:
  // Gives `out`, where the step has to write its results before run() sees them.
  ValueId add(std::span<const std::uint8_t> table, IsaSet isa, ValueId out) {
    Lookup& lookup = lookups_.emplace_back(Lookup{{}, out});
    std::copy_n(table.begin(), lookup.table.size(), lookup.table.begin());
    kernel_ = &kernels::pick_table(isa);
    return out;
  }

  // `rows` rows of `bytes` results each, `stride` apart, the first of them at byte `place` of the outputs.
  void run(const RunContext& context, std::size_t place, std::size_t rows, std::size_t bytes,
           std::size_t stride) const {
    if (lookups_.empty()) return;
    if (bytes == stride) bytes *= rows, rows = 1;
    const auto* from = context.as<const std::uint8_t>(lookups_.back().out) + place;
    for (const Lookup& lookup : lookups_) {  // the last one in place
      auto* to = context.as<std::uint8_t>(lookup.out) + place;
      for (std::size_t row = 0; row < rows; ++row) {
        kernel_->run({bytes, from + row * stride, lookup.table.data(), to + row * stride});
      }
    }
  }

 private:
  struct Lookup {
    ByteTable table;
    ValueId out;
  };
  std::vector<Lookup> lookups_;
  const kernels::TableKernel* kernel_ = nullptr;
};

}  // namespace quaver
