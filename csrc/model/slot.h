// A place for a model that can be exchanged while it runs (base/hot_swap.h): all its versions take and give the same.
#pragma once

#include <memory>

#include "base/hot_swap.h"
#include "model/model.h"

namespace quaver {

// Throws Error(invalid_input), naming the first difference, where the inputs and outputs of the two are not the same in
// name, dtype, shape and order.
void expect_same_signature(const Model& current, const Model& next);

class Slot {
 public:
  using Pin = HotSwap<Model>::Pin;

  explicit Slot(std::shared_ptr<Model> first, std::uint64_t version = 1, SlotLimits limits = {})
      : versions_(std::move(first), version, limits) {}

  // As of HotSwap.
  [[nodiscard]] Pin pin() noexcept { return versions_.pin(); }
  std::uint64_t version() noexcept { return versions_.version(); }
  std::vector<std::uint64_t> live() const { return versions_.live(); }
  std::uint64_t rollback() { return versions_.rollback(); }
  void stop() { versions_.stop(); }
  // As HotSwap's, after expect_same_signature().
  std::uint64_t swap(std::shared_ptr<Model> next, const SwapOptions& options = {});

 private:
  HotSwap<Model> versions_;
};

}  // namespace quaver
