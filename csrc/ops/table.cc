#include <algorithm>

#include "ops/table_step.h"

namespace quaver {
namespace {

class FlipSignStep final : public ElementStep {
 public:
  explicit FlipSignStep(const LowerContext& context) : x_(context.in(0)), y_(context.out()) {
    info.kernel = "flip_sign";
    split_elements(elements_of(context.output()), 2 * elements_of(context.output()));
  }

 private:
  void run_elements(const RunContext& context, std::size_t begin, std::size_t end) const override {
    const auto* x = context.as<const std::uint8_t>(x_);
    auto* y = context.as<std::uint8_t>(y_);
    for (std::size_t i = begin; i < end; ++i) y[i] = x[i] ^ 0x80;
  }

  ValueId x_, y_;
};

}  // namespace

std::unique_ptr<Step> lower_Table(LowerContext& context) {
  const auto bytes = context.constant<std::uint8_t>(1);
  UnaryTable table;
  if (bytes.size() != table.size()) context.fail("its table has ", bytes.size(), " entries; 256 are expected");
  std::copy(bytes.begin(), bytes.end(), table.begin());
  return std::make_unique<TableStep>(context, table);
}

std::unique_ptr<Step> lower_FlipSign(LowerContext& context) { return std::make_unique<FlipSignStep>(context); }

}  // namespace quaver
