// Bytes through a table of 256.
#pragma once

#include "graph/unary.h"
#include "kernels/elementwise/table.h"
#include "ops/elements.h"

namespace quaver {

class TableStep final : public ElementStep {
 public:
  TableStep(const LowerContext& context, const UnaryTable& table)
      : table_(table), kernel_(kernels::pick_table(context.isa)), x_(context.in(0)), y_(context.out()) {
    names(kernel_);
    split_elements(elements_of(context.output()), 2 * elements_of(context.output()));
  }

 private:
  void run_elements(const RunContext& context, std::size_t begin, std::size_t end) const override {
    const auto* x = context.as<const std::uint8_t>(x_) + begin;
    kernel_.run({end - begin, x, table_.data(), context.as<std::uint8_t>(y_) + begin});
  }

  UnaryTable table_;
  const kernels::TableKernel& kernel_;
  ValueId x_, y_;
};

}  // namespace quaver
