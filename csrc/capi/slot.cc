// A slot of `quaver_model`s, so that each version keeps the plan that its last run used.
#include "model/slot.h"

#include <chrono>

#include "capi/guard.h"
#include "capi/model.h"

struct quaver_slot {
  quaver::HotSwap<quaver_model> versions;
};

namespace quaver::capi {
namespace {

SlotLimits limits_of(const quaver_slot_options* given) {
  SlotLimits limits;
  if (!given) return limits;
  if (given->max_live) limits.max_live = given->max_live;
  limits.keep_previous = !given->forget_previous;
  return limits;
}

// Another handle of the same model: the slot's, whatever becomes of the caller's.
std::shared_ptr<quaver_model> shared(const quaver_model& model) {
  auto handle = std::make_shared<quaver_model>();
  handle->model = model.model;
  return handle;
}

}  // namespace
}  // namespace quaver::capi

extern "C" {

using namespace quaver::capi;

quaver_status quaver_slot_create(const quaver_model* model, const quaver_slot_options* options, quaver_slot** slot) {
  return guarded([&] {
    expect_not_null(slot, "slot");
    *slot = nullptr;
    expect_not_null(model, "model");
    const std::uint64_t version = options && options->version ? options->version : 1;
    *slot = new quaver_slot{quaver::HotSwap<quaver_model>(shared(*model), version, limits_of(options))};
  });
}

quaver_status quaver_slot_swap(quaver_slot* slot, const quaver_model* model, uint32_t timeout_ms, uint64_t* version) {
  return guarded([&] {
    expect_not_null(slot, "slot");
    expect_not_null(model, "model");
    quaver::expect_same_signature(*slot->versions.pin()->model, *model->model);
    quaver::SwapOptions how;
    if (version && *version) how.version = *version;
    how.timeout = std::chrono::milliseconds(timeout_ms);
    const std::uint64_t given = slot->versions.swap(shared(*model), how);
    if (version) *version = given;
  });
}

quaver_status quaver_slot_rollback(quaver_slot* slot, uint64_t* version) {
  return guarded([&] {
    expect_not_null(slot, "slot");
    const std::uint64_t current = slot->versions.rollback();
    if (version) *version = current;
  });
}

quaver_status quaver_slot_run(quaver_slot* slot, const quaver_buffer* inputs, size_t input_count,
                              quaver_buffer* outputs, size_t output_count, uint64_t* version) {
  if (!slot) return failed(quaver::Status::invalid_input, "slot is NULL");
  const auto pin = slot->versions.pin();
  if (version) *version = pin.version();
  return quaver_run(&*pin, inputs, input_count, outputs, output_count);
}

uint64_t quaver_slot_version(quaver_slot* slot) { return slot ? slot->versions.version() : 0; }

void quaver_slot_free(quaver_slot* slot) { delete slot; }

}  // extern "C"
