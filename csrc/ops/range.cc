// Range and NonZero, whose sizes depend on contents: these are known when a plan is made.
#include <cstring>

#include "graph/non_zero.h"
#include "ops/row_step.h"
#include "ops/wide.h"

namespace quaver {
namespace {

// Writes what was computed when the plan was made.
class KnownStep final : public Step {
 public:
  KnownStep(const LowerContext& context, std::vector<std::byte> bytes) : y_(context.out()), bytes_(std::move(bytes)) {
    info.kernel = "constant";
  }

  void run(const RunContext& context, std::size_t, std::size_t) const override {
    if (!bytes_.empty()) std::memcpy(context.as<std::byte>(y_), bytes_.data(), bytes_.size());
  }

 private:
  ValueId y_;
  std::vector<std::byte> bytes_;
};

template <class W>
W number(const LowerContext& context, std::size_t i) {
  const auto bytes = context.constant<std::byte>(i);
  W wide;
  reader_of<W>(context.input(i).dtype)(bytes.data(), 1, 1, &wide);
  return wide;
}

}  // namespace

std::unique_ptr<Step> lower_Range(LowerContext& context) {
  const Value& y = context.output();
  std::vector<std::byte> bytes(bytes_of(y));
  with_wide(y.dtype, [&]<class W>(W) {
    const W start = number<W>(context, 0), delta = number<W>(context, 2);
    const std::size_t size = size_of(y.dtype);
    for (std::size_t i = 0; i * size < bytes.size(); ++i) {
      const W value = start + static_cast<W>(i) * delta;
      writer_of<W>(y.dtype)(&value, 1, 1, bytes.data() + i * size);
    }
  });
  return std::make_unique<KnownStep>(context, std::move(bytes));
}

std::unique_ptr<Step> lower_NonZero(LowerContext& context) {
  const Value &x = context.input(0), &y = context.output();
  const auto data = context.constant<std::byte>(0);
  const std::size_t size = size_of(x.dtype), n = y.shape.empty() ? 0 : static_cast<std::size_t>(y.shape[1]);
  std::vector<std::byte> bytes(bytes_of(y));
  auto* indices = reinterpret_cast<std::int64_t*>(bytes.data());
  std::size_t found = 0;
  for (std::size_t i = 0; i * size < data.size(); ++i) {
    if (!is_non_zero(x.dtype, data.data() + i * size)) continue;
    std::size_t rest = i;
    for (std::size_t k = x.shape.size(); k-- > 0;) {
      indices[k * n + found] = static_cast<std::int64_t>(rest % static_cast<std::size_t>(x.shape[k]));
      rest /= static_cast<std::size_t>(x.shape[k]);
    }
    ++found;
  }
  return std::make_unique<KnownStep>(context, std::move(bytes));
}

}  // namespace quaver
