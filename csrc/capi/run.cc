// Runs on the caller's buffers, after checking that they are what the model expects.
#include <algorithm>

#include "base/bytes_of.h"
#include "capi/guard.h"
#include "capi/model.h"

namespace quaver::capi {
namespace {

std::size_t bytes_of(const Value& value) { return quaver::bytes_of(value.dtype, value.shape); }

std::string describe(const Value& value) { return text(name_of(value.dtype), to_string(value.shape)); }

void expect_count(const char* what, std::size_t given, std::size_t expected) {
  if (given != expected) fail(Status::invalid_input, what, ": expected ", expected, ", got ", given);
}

void check_input(const Value& value, const std::string& name, const quaver_buffer& buffer) {
  const std::size_t needed = bytes_of(value);
  if (buffer.bytes != needed) {
    fail(Status::invalid_input, "input '", name, "': ", describe(value), " is ", needed, " bytes, got ", buffer.bytes);
  }
  if (!buffer.data && needed) fail(Status::invalid_input, "input '", name, "': data is NULL");
}

void check_output(const Value& value, const std::string& name, const quaver_buffer& buffer) {
  const std::size_t needed = bytes_of(value);
  if (buffer.bytes < needed) {
    fail(Status::invalid_input, "output '", name, "': ", describe(value), " needs ", needed, " bytes, got ",
         buffer.bytes);
  }
  if (!buffer.data && needed) fail(Status::invalid_input, "output '", name, "': data is NULL");
}

void fill_shape(const Value& value, const std::string& name, quaver_buffer& buffer) {
  if (value.shape.size() > QUAVER_MAX_RANK) {
    fail(Status::unsupported, "output '", name, "': rank ", value.shape.size(), " is more than ", QUAVER_MAX_RANK);
  }
  buffer.rank = static_cast<std::int32_t>(value.shape.size());
  std::copy(value.shape.begin(), value.shape.end(), buffer.shape);
}

std::shared_ptr<const Plan> plan_for(quaver_model& handle, std::span<const quaver_buffer> inputs,
                                     std::span<quaver_buffer> outputs) {
  expect_count("inputs", inputs.size(), handle.model->inputs().size());
  expect_count("outputs", outputs.size(), handle.model->outputs().size());
  std::shared_ptr<const Plan> plan = handle.last_plan.get(*handle.model, inputs);
  const Graph& graph = plan->graph();
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    fill_shape(graph.value(graph.outputs[i]), handle.model->outputs()[i].name, outputs[i]);
  }
  return plan;
}

void run(quaver_model& handle, std::span<const quaver_buffer> inputs, std::span<quaver_buffer> outputs) {
  const std::shared_ptr<const Plan> plan = plan_for(handle, inputs, outputs);
  const Graph& graph = plan->graph();
  // A thread's own, so that they keep their memory from run to run.
  thread_local std::vector<const void*> sources;
  thread_local std::vector<void*> targets;
  sources.clear();
  targets.clear();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    check_input(graph.value(graph.inputs[i]), handle.model->inputs()[i].name, inputs[i]);
    sources.push_back(inputs[i].data);
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    check_output(graph.value(graph.outputs[i]), handle.model->outputs()[i].name, outputs[i]);
    targets.push_back(outputs[i].data);
  }
  handle.model->run(*plan, sources, targets);
}

void output_shapes(quaver_model& handle, std::span<const quaver_buffer> inputs, std::span<quaver_buffer> outputs) {
  const std::shared_ptr<const Plan> plan = plan_for(handle, inputs, outputs);
  const Graph& graph = plan->graph();
  for (std::size_t i = 0; i < outputs.size(); ++i) outputs[i].bytes = bytes_of(graph.value(graph.outputs[i]));
}

using Action = void (*)(quaver_model&, std::span<const quaver_buffer>, std::span<quaver_buffer>);

quaver_status with_buffers(Action action, quaver_model* model, const quaver_buffer* inputs, std::size_t input_count,
                           quaver_buffer* outputs, std::size_t output_count) {
  return guarded([&] {
    expect_not_null(model, "model");
    if (input_count) expect_not_null(inputs, "inputs");
    if (output_count) expect_not_null(outputs, "outputs");
    action(*model, {inputs, input_count}, {outputs, output_count});
  });
}

}  // namespace
}  // namespace quaver::capi

extern "C" {

quaver_status quaver_output_shapes(quaver_model* model, const quaver_buffer* inputs, size_t input_count,
                                   quaver_buffer* outputs, size_t output_count) {
  using namespace quaver::capi;
  return with_buffers(output_shapes, model, inputs, input_count, outputs, output_count);
}

quaver_status quaver_run(quaver_model* model, const quaver_buffer* inputs, size_t input_count, quaver_buffer* outputs,
                         size_t output_count) {
  using namespace quaver::capi;
  return with_buffers(run, model, inputs, input_count, outputs, output_count);
}

}  // extern "C"
