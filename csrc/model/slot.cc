#include "model/slot.h"

#include "base/error.h"

namespace quaver {
namespace {

std::string describe(const Port& port) {
  return text("'", port.name, "' ", name_of(port.dtype), " ", to_string(port.shape));
}

void expect_same(const char* what, const std::vector<Port>& current, const std::vector<Port>& next) {
  constexpr const char* kRefused = "the new model does not fit this slot: ";
  constexpr const char* kWayOut = "; give it a slot of its own";
  if (current.size() != next.size()) {
    fail(Status::invalid_input, kRefused, "expected ", current.size(), " ", what, "s, got ", next.size(), kWayOut);
  }
  for (std::size_t i = 0; i < current.size(); ++i) {
    const Port &a = current[i], &b = next[i];
    if (a.name == b.name && a.dtype == b.dtype && a.shape == b.shape) continue;
    fail(Status::invalid_input, kRefused, what, " ", i, ": expected ", describe(a), ", got ", describe(b), kWayOut);
  }
}

}  // namespace

void expect_same_signature(const Model& current, const Model& next) {
  expect_same("input", current.inputs(), next.inputs());
  expect_same("output", current.outputs(), next.outputs());
}

std::uint64_t Slot::swap(std::shared_ptr<Model> next, const SwapOptions& options) {
  if (next) expect_same_signature(*pin(), *next);
  return versions_.swap(std::move(next), options);
}

}  // namespace quaver
