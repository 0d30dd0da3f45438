// The extension quaver._core: one function per file that adds one type to the module. No logic lives here.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace quaver::bindings {

namespace py = pybind11;

void bind_errors(py::module_& module);
void bind_info(py::module_& module);
void bind_graph(py::module_& module);
void bind_inspect(py::module_& module);
void bind_answer(py::module_& module);
void bind_model(py::module_& module);
void bind_slot(py::module_& module);
void bind_partition(py::module_& module);
void bind_boxes(py::module_& module);

}  // namespace quaver::bindings
