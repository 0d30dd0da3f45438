#include "bindings/inspect.h"

#include "base/bytes_of.h"
#include "bindings/arrays.h"
#include "isa/peak.h"
#include "ops/families.h"

namespace quaver::bindings {
namespace {

TensorRecord record_of(const Value& value) {
  const std::size_t bytes = bytes_of(value.dtype, value.shape);
  return {value.name, std::string(name_of(value.dtype)), value.shape, bytes, value.constant(), value.quant.has_value()};
}

std::vector<TensorRecord> records_of(const Graph& graph, const std::vector<ValueId>& ids) {
  std::vector<TensorRecord> records;
  for (const ValueId id : ids) {
    if (id != kNone) records.push_back(record_of(graph.value(id)));
  }
  return records;
}

StepRecord record_of(const Graph& graph, const PlanStep& planned, IsaSet isa) {
  const Node& node = graph.nodes[planned.node];
  const Step& step = *planned.step;
  return {node.name,
          name_of(node.op),
          step.info.kernel,
          name_of(step.info.isa),
          node.note,
          candidates_for(step.info.kernel, isa),
          records_of(graph, node.inputs),
          records_of(graph, node.outputs),
          step.info.macs,
          step.units,
          step.scratch};
}

Isa isa_named(const std::string& name) {
  for (int i = 0; i < kIsaCount; ++i) {
    if (name == kIsaNames[i]) return static_cast<Isa>(i);
  }
  return Isa::scalar;
}

// Multiply-accumulates a second; 0 where no peak is known.
double peak_macs(const std::string& isa, bool int8) {
  const py::gil_scoped_release released;
  return int8 ? peak_u8(isa_named(isa)) : peak_f32(isa_named(isa));
}

}  // namespace

PlanRecord record_of(const Plan& plan, IsaSet isa) {
  PlanRecord record{{}, plan.arena_bytes(), plan.activation_bytes(), plan.scratch_bytes(), 0};
  for (const PlanStep& step : plan.steps()) record.steps.push_back(record_of(plan.graph(), step, isa));
  for (const Value& value : plan.graph().values) {
    if (value.constant()) record.constant_bytes += value.data->size();
  }
  return record;
}

void bind_inspect(py::module_& module) {
  module.def("peak_macs", &peak_macs, py::arg("isa"), py::arg("int8"));
  module.def("peak_copy", &peak_copy, py::arg("size"), py::call_guard<py::gil_scoped_release>());
  py::class_<TensorRecord>(module, "TensorRecord", "A value that a step reads or writes.")
      .def_readonly("name", &TensorRecord::name)
      .def_readonly("dtype", &TensorRecord::dtype)
      .def_property_readonly("shape", [](const TensorRecord& tensor) { return to_shape(tensor.shape); })
      .def_readonly("bytes", &TensorRecord::bytes)
      .def_readonly("constant", &TensorRecord::constant)
      .def_readonly("quantized", &TensorRecord::quantized);
  py::class_<StepRecord>(module, "StepRecord", "One step of a plan: a node, and how it runs on this machine.")
      .def_readonly("node", &StepRecord::node)
      .def_readonly("op", &StepRecord::op)
      .def_readonly("kernel", &StepRecord::kernel)
      .def_readonly("isa", &StepRecord::isa)
      .def_readonly("note", &StepRecord::note)
      .def_readonly("candidates", &StepRecord::candidates)
      .def_readonly("inputs", &StepRecord::inputs)
      .def_readonly("outputs", &StepRecord::outputs)
      .def_readonly("macs", &StepRecord::macs)
      .def_readonly("units", &StepRecord::units)
      .def_readonly("scratch", &StepRecord::scratch);
  py::class_<PlanRecord>(module, "PlanRecord", "A plan: its steps and its memory.")
      .def_readonly("steps", &PlanRecord::steps)
      .def_readonly("arena_bytes", &PlanRecord::arena_bytes)
      .def_readonly("activation_bytes", &PlanRecord::activation_bytes)
      .def_readonly("scratch_bytes", &PlanRecord::scratch_bytes)
      .def_readonly("constant_bytes", &PlanRecord::constant_bytes);
}

}  // namespace quaver::bindings
