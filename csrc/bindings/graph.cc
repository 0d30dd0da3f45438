// _core.Graph: builds a graph value by value and node by node, for the importers.
#include "graph/graph.h"

#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/error.h"
#include "bindings/arrays.h"

namespace quaver::bindings {
namespace {

DType named_dtype(const std::string& name) {
  const auto dtype = dtype_from_name(name);
  if (!dtype) fail(Status::unsupported, "no tensor can have the dtype ", name);
  return *dtype;
}

AttrValue list_attr(const py::sequence& items) {
  bool floats = false;
  for (const py::handle item : items) floats |= PyFloat_Check(item.ptr()) != 0;
  if (floats) return items.cast<std::vector<double>>();
  return items.cast<std::vector<std::int64_t>>();
}

AttrValue attr_of(const py::handle& value) {
  if (PyFloat_Check(value.ptr())) return value.cast<double>();
  if (PyIndex_Check(value.ptr())) return value.cast<std::int64_t>();
  if (py::isinstance<py::str>(value)) return value.cast<std::string>();
  return list_attr(value.cast<py::sequence>());
}

ValueId add_input(Graph& graph, std::string name, const std::string& dtype, const std::optional<py::iterable>& shape) {
  const ValueId id = shape ? graph.add_value(std::move(name), named_dtype(dtype), dims_of(*shape))
                           : graph.add_value(std::move(name), named_dtype(dtype));
  graph.inputs.push_back(id);
  return id;
}

ValueId add_constant(Graph& graph, std::string name, py::array array) {
  const DType dtype = dtype_of(array.dtype());
  Dims shape(array.shape(), array.shape() + array.ndim());
  return graph.add_constant(std::move(name), dtype, std::move(shape), blob_of(std::move(array)));
}

std::vector<ValueId> add_node(Graph& graph, const std::string& op, std::string name,
                              const std::vector<std::optional<ValueId>>& inputs,
                              const std::vector<std::string>& output_names, const py::dict& attrs) {
  const auto known = op_from_name(op);
  if (!known) fail(Status::unsupported, "node '", name, "': there is no operator ", op);
  std::vector<ValueId> in, out;
  for (const auto& input : inputs) {
    if (input && *input >= graph.values.size()) fail(Status::invalid_model, "node '", name, "': no value ", *input);
    in.push_back(input.value_or(kNone));
  }
  Attrs given;
  for (const auto& [key, value] : attrs) given.set(key.cast<std::string>(), attr_of(value));
  for (const std::string& output : output_names) out.push_back(graph.add_value(output, DType::f32));
  graph.add_node(*known, std::move(name), std::move(in), out, std::move(given));
  return out;
}

// A value that is an input, a constant or an output already goes out through an Identity, so that each output is a
// value of its own with its own name.
ValueId output_value(Graph& graph, const std::string& name, ValueId id) {
  if (id >= graph.values.size()) fail(Status::invalid_model, "output '", name, "': no value ", id);
  if (!graph.is_input(id) && !graph.is_output(id) && !graph.value(id).constant()) return id;
  const ValueId copy = graph.add_value(name, graph.value(id).dtype);
  graph.add_node(Op::Identity, name, {id}, {copy});
  return copy;
}

using Output = std::tuple<std::string, ValueId, std::string, std::optional<py::iterable>>;

void set_outputs(Graph& graph, const std::vector<Output>& outputs) {
  graph.outputs.clear();
  for (const auto& [name, id, dtype, shape] : outputs) {
    const ValueId out = output_value(graph, name, id);
    Value& value = graph.value(out);
    value.name = name;
    value.dtype = named_dtype(dtype);
    value.ranked = shape.has_value();
    value.shape = shape ? dims_of(*shape) : Dims{};
    graph.outputs.push_back(out);
  }
}

}  // namespace

void bind_graph(py::module_& module) {
  py::class_<Graph>(module, "Graph", "A portable graph under construction; nodes are added in run order.")
      .def(py::init<>())
      .def(
          "set_name", [](Graph& graph, std::string name) { graph.name = std::move(name); }, py::arg("name"))
      .def("add_input", &add_input, py::arg("name"), py::arg("dtype"), py::arg("shape"))
      .def("add_constant", &add_constant, py::arg("name"), py::arg("array"))
      .def("add_node", &add_node, py::arg("op"), py::arg("name"), py::arg("inputs"), py::arg("output_names"),
           py::arg("attrs"))
      .def("set_outputs", &set_outputs, py::arg("outputs"))
      .def("__str__", [](const Graph& graph) { return dump(graph); });
  module.attr("OPERATORS") = py::tuple(py::cast(std::vector<std::string>(kOpNames, kOpNames + kOpCount)));
}

}  // namespace quaver::bindings
