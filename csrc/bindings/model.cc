// _core.Model: a loaded model on NumPy arrays. The GIL is released around loading, running and freeing.
#include "bindings/model.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/background.h"
#include "base/error.h"
#include "bindings/answer.h"
#include "bindings/arrays.h"
#include "bindings/inspect.h"
#include "isa/cpu.h"
#include "model/file.h"

namespace quaver::bindings {

Dtypes::Dtypes(const Model& model) {
  for (const Port& port : model.inputs()) in.push_back(to_numpy(port.dtype));
  for (const Port& port : model.outputs()) out.push_back(to_numpy(port.dtype));
}

std::shared_ptr<const Plan> PyModel::plan(const std::vector<Dims>& shapes) const {
  const Release released;
  return model_->plan(shapes);
}

Arrays PyModel::inputs_of(const py::sequence& given) const {
  if (given.size() != dtypes_.in.size()) {
    fail(Status::invalid_input, "expected ", dtypes_.in.size(), " inputs, got ", given.size());
  }
  Arrays arrays;
  arrays.reserve(given.size());
  for (std::size_t i = 0; i < given.size(); ++i) arrays.push_back(input_of(i, given[i]));
  return arrays;
}

Arrays PyModel::outputs_for(const Plan& plan) const {
  Arrays arrays;
  arrays.reserve(dtypes_.out.size());
  for (std::size_t i = 0; i < dtypes_.out.size(); ++i) {
    arrays.emplace_back(dtypes_.out[i], plan.graph().value(plan.graph().outputs[i]).shape);
  }
  return arrays;
}

py::array PyModel::input_of(std::size_t i, const py::handle& given) const {
  py::array array = py::isinstance<py::array>(given) ? py::reinterpret_borrow<py::array>(given)
                                                     : py::array(py::module_::import("numpy").attr("asarray")(given));
  if (!array.dtype().is(dtypes_.in[i])) {
    const auto name = array.dtype().attr("name").cast<std::string>();
    const auto wanted = dtypes_.in[i].attr("name").cast<std::string>();
    if (name != wanted) {
      fail(Status::invalid_input, "input '", model_->inputs()[i].name, "': expected dtype ", wanted, ", got ", name,
           "; convert it: x.astype(\"", wanted, "\")");
    }
  }
  return in_rows(std::move(array));
}

namespace {

std::vector<Dims> shapes_of(const Arrays& arrays) {
  std::vector<Dims> shapes;
  shapes.reserve(arrays.size());
  for (const py::array& array : arrays) shapes.emplace_back(array.shape(), array.shape() + array.ndim());
  return shapes;
}

std::vector<const void*> readable(const Arrays& arrays) {
  std::vector<const void*> pointers;
  pointers.reserve(arrays.size());
  for (const py::array& array : arrays) pointers.push_back(array.data());
  return pointers;
}

std::vector<void*> writable(Arrays& arrays) {
  std::vector<void*> pointers;
  pointers.reserve(arrays.size());
  for (py::array& array : arrays) pointers.push_back(array.mutable_data());
  return pointers;
}

py::list list_of(Arrays arrays) {
  py::list list(arrays.size());
  for (std::size_t i = 0; i < arrays.size(); ++i) list[i] = std::move(arrays[i]);
  return list;
}

py::list run(const PyModel& self, const py::sequence& given) {
  const Arrays inputs = self.inputs_of(given);
  const auto plan = self.plan(shapes_of(inputs));
  Arrays outputs = self.outputs_for(*plan);
  const auto in = readable(inputs);
  const auto out = writable(outputs);
  {
    const Release released;
    self.model().run(*plan, in, out);
  }
  return list_of(std::move(outputs));
}

// On a thread of low priority, and on it alone.
py::list try_out(const PyModel& self, const py::sequence& given) {
  const Arrays inputs = self.inputs_of(given);
  const auto shapes = shapes_of(inputs);
  std::shared_ptr<const Plan> plan;
  {
    const Release released;
    in_background([&] { plan = self.model().plan(shapes); });
  }
  Arrays outputs = self.outputs_for(*plan);
  const auto in = readable(inputs);
  const auto out = writable(outputs);
  {
    const Release released;
    in_background([&] { self.model().run_alone(*plan, in, out); });
  }
  return list_of(std::move(outputs));
}

double median_of(const std::vector<std::vector<double>>& runs, std::size_t step) {
  std::vector<double> times;
  for (const auto& run : runs) times.push_back(run[step]);
  if (times.empty()) return 0;
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2);
  std::nth_element(times.begin(), middle, times.end());
  return *middle;
}

// The kernel and the seconds of each step.
using Timed = std::vector<std::pair<std::string, double>>;

// The median of `runs` for each step, on the caller's thread alone.
Timed profile(const PyModel& self, const py::sequence& given, unsigned runs, const std::optional<std::string>& kernels,
              unsigned threads) {
  const Arrays inputs = self.inputs_of(given);
  const auto shapes = shapes_of(inputs);
  const auto plan = kernels ? self.model().plan_with(shapes, *kernels) : self.plan(shapes);
  Arrays outputs = self.outputs_for(*plan);
  const auto in = readable(inputs);
  const auto out = writable(outputs);
  const Release released;
  Timed timed;
  std::vector<std::vector<double>> seconds;
  for (const PlanStep& step : plan->steps()) timed.emplace_back(step.step->info.kernel, 0.0);
  Execution execution(*plan, threads);
  ThreadPool pool(threads);
  plan->run(execution, in, out, &pool);
  for (unsigned run = 0; run < runs; ++run) {
    seconds.emplace_back(timed.size());
    plan->run_observed(execution, in, out, &pool, [&](std::size_t step, double t) { seconds.back()[step] = t; });
  }
  for (std::size_t step = 0; step < timed.size(); ++step) timed[step].second = median_of(seconds, step);
  return timed;
}

PlanRecord inspect(const PyModel& self, const std::optional<std::vector<py::iterable>>& shapes) {
  std::vector<Dims> given;
  if (shapes) {
    for (const py::iterable& shape : *shapes) given.push_back(dims_of(shape));
  }
  const Release released;
  return record_of(shapes ? *self.model().plan(given) : *self.model().plan(), self.model().isa());
}

LoadOptions options_of(unsigned threads, std::optional<std::string> isa, const std::string& precision) {
  return {threads, std::move(isa), float_precision_of(precision)};
}

PyModel from_graph(const Graph& graph, unsigned threads, std::optional<std::string> isa, const std::string& precision) {
  std::shared_ptr<Model> model;
  {
    const Release released;
    model = Model::from_graph(graph, options_of(threads, std::move(isa), precision));
  }
  return PyModel(std::move(model));
}

PyModel open(const std::string& path, unsigned threads, std::optional<std::string> isa, const std::string& precision) {
  std::shared_ptr<Model> model;
  {
    const Release released;
    model = Model::open(path, options_of(threads, std::move(isa), precision));
  }
  return PyModel(std::move(model));
}

void perhaps_in_background(bool background, const std::function<void()>& work) {
  background ? in_background(work) : work();
}

Blob copy_of(const py::buffer_info& bytes) {
  return Blob::copy(bytes.ptr, static_cast<std::size_t>(bytes.size * bytes.itemsize));
}

py::bytes to_bytes(const std::vector<std::byte>& bytes) {
  return py::bytes(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

PyModel open_bytes(const py::buffer& data, unsigned threads, std::optional<std::string> isa,
                   const std::string& precision, bool background) {
  std::shared_ptr<Model> model;
  const py::buffer_info bytes = data.request();
  {
    const Release released;
    const LoadOptions options = options_of(threads, std::move(isa), precision);
    perhaps_in_background(background, [&] { model = Model::open(copy_of(bytes), options); });
  }
  return PyModel(std::move(model));
}

PyModel updated(const PyModel& self, const std::string& path) {
  std::shared_ptr<Model> model;
  {
    const Release released;
    model = self.model().updated(path);
  }
  return PyModel(std::move(model));
}

PyModel updated_bytes(const PyModel& self, const py::buffer& data, bool background) {
  std::shared_ptr<Model> model;
  const py::buffer_info bytes = data.request();
  {
    const Release released;
    perhaps_in_background(background, [&] { model = self.model().updated(copy_of(bytes)); });
  }
  return PyModel(std::move(model));
}

py::bytes delta_to(const PyModel& self, const PyModel& next) {
  std::vector<std::byte> bytes;
  {
    const Release released;
    bytes = write_delta(self.model().graph(), next.model().graph());
  }
  return to_bytes(bytes);
}

py::bytes serialize(const PyModel& self, bool packed) {
  std::vector<std::byte> bytes;
  {
    const Release released;
    bytes = self.model().serialize(packed);
  }
  return to_bytes(bytes);
}

py::class_<Port> bind_port(py::module_& module) {
  return py::class_<Port>(module, "Port", "An input or output of a model.")
      .def_readonly("name", &Port::name)
      .def_property_readonly("dtype", [](const Port& port) { return to_numpy(port.dtype); })
      .def_property_readonly("shape", [](const Port& port) { return to_shape(port.shape); });
}

}  // namespace

void bind_model(py::module_& module) {
  bind_port(module);
  const auto threads = py::arg("threads") = 0;
  const auto isa = py::arg("isa") = py::none();
  const auto precision = py::arg("float_precision") = "fp32";
  py::class_<PyModel>(module, "Model", "A loaded model; safe to use from many threads at once.")
      .def_static("from_graph", &from_graph, py::arg("graph"), threads, isa, precision)
      .def_static("open", &open, py::arg("path"), threads, isa, precision)
      .def_static("open_bytes", &open_bytes, py::arg("data"), threads, isa, precision, py::arg("background") = false)
      .def_property_readonly("inputs", [](const PyModel& self) { return self.model().inputs(); })
      .def_property_readonly("outputs", [](const PyModel& self) { return self.model().outputs(); })
      .def_property_readonly("isa", [](const PyModel& self) { return name_of(best(self.model().isa())); })
      .def_property_readonly("threads", [](const PyModel& self) { return self.model().threads(); })
      .def_property_readonly("memory", [](const PyModel& self) { return self.model().memory(); })
      .def_property_readonly("float_precision",
                             [](const PyModel& self) { return name_of(self.model().float_precision()); })
      .def("run", &run, py::arg("arrays"))
      .def(
          "answer",
          [](const PyModel& self, const py::object& body, std::size_t start, const Layout& layout, const Frame& frame) {
            return answer(self.model(), body, start, layout, frame);
          },
          py::arg("body"), py::arg("start"), py::arg("layout"), py::arg("frame"))
      .def("try_out", &try_out, py::arg("arrays"))
      .def("profile", &profile, py::arg("arrays"), py::arg("runs"), py::arg("kernels") = py::none(),
           py::arg("threads") = 1)
      .def("inspect", &inspect, py::arg("shapes") = py::none())
      .def("serialize", &serialize, py::arg("packed") = false)
      .def(
          "identity", [](const PyModel& self) { return self.model().identity(); }, py::call_guard<Release>())
      .def("updated", &updated, py::arg("path"))
      .def("updated_bytes", &updated_bytes, py::arg("data"), py::arg("background") = false)
      .def("delta_to", &delta_to, py::arg("new"))
      .def(
          "save", [](const PyModel& self, const std::string& path, bool packed) { self.model().save(path, packed); },
          py::arg("path"), py::arg("packed") = false, py::call_guard<Release>())
      .def("__str__", [](const PyModel& self) { return dump(self.model().graph()); });
}

}  // namespace quaver::bindings
