// Loading, describing and freeing a model.
#include <algorithm>

#include "capi/guard.h"
#include "capi/model.h"

namespace quaver::capi {
namespace {

LoadOptions options_of(const quaver_options* given) {
  LoadOptions options;
  if (!given) return options;
  options.threads = given->threads;
  if (given->isa) options.isa = given->isa;
  if (given->float_precision) options.float_precision = float_precision_of(given->float_precision);
  return options;
}

template <class Open>
quaver_status load(quaver_model** out, Open&& open) {
  return guarded([&] {
    expect_not_null(out, "model");
    *out = nullptr;
    auto handle = std::make_unique<quaver_model>();
    handle->model = open();
    *out = handle.release();
  });
}

quaver_status describe(const char* what, const std::vector<Port>& ports, std::size_t index, quaver_tensor_info* info) {
  return guarded([&] {
    expect_not_null(info, "info");
    if (index >= ports.size()) fail(Status::invalid_input, what, " ", index, " of ", ports.size());
    const Port& port = ports[index];
    if (port.shape.size() > QUAVER_MAX_RANK) {
      fail(Status::unsupported, what, " '", port.name, "' has rank ", port.shape.size(), ", more than ",
           QUAVER_MAX_RANK);
    }
    *info = {
        port.name.c_str(), static_cast<quaver_dtype>(port.dtype), static_cast<std::int32_t>(port.shape.size()), {}};
    std::copy(port.shape.begin(), port.shape.end(), info->shape);
  });
}

}  // namespace
}  // namespace quaver::capi

extern "C" {

using namespace quaver::capi;

const char* quaver_version(void) { return QUAVER_VERSION; }

const char* quaver_last_error(void) { return last_error(); }

quaver_status quaver_load(const char* path, const quaver_options* options, quaver_model** model) {
  return load(model, [&] {
    expect_not_null(path, "path");
    return quaver::Model::open(std::string(path), options_of(options));
  });
}

quaver_status quaver_load_memory(const void* data, size_t bytes, const quaver_options* options, quaver_model** model) {
  return load(model, [&] {
    expect_not_null(data, "data");
    return quaver::Model::open(quaver::Blob::copy(data, bytes), options_of(options));
  });
}

quaver_status quaver_update(const quaver_model* base, const char* path, quaver_model** model) {
  return load(model, [&] {
    expect_not_null(base, "base");
    expect_not_null(path, "path");
    return base->model->updated(std::string(path));
  });
}

void quaver_free(quaver_model* model) { delete model; }

size_t quaver_input_count(const quaver_model* model) { return model ? model->model->inputs().size() : 0; }

size_t quaver_output_count(const quaver_model* model) { return model ? model->model->outputs().size() : 0; }

quaver_status quaver_input_info(const quaver_model* model, size_t index, quaver_tensor_info* info) {
  if (!model) return failed(quaver::Status::invalid_input, "model is NULL");
  return describe("input", model->model->inputs(), index, info);
}

quaver_status quaver_output_info(const quaver_model* model, size_t index, quaver_tensor_info* info) {
  if (!model) return failed(quaver::Status::invalid_input, "model is NULL");
  return describe("output", model->model->outputs(), index, info);
}

}  // extern "C"
