// _core.Layout and _core.Frame: what is known of requests that look alike, and of their answers.
#include "bindings/answer.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>
#include <utility>

#include "base/bytes_of.h"
#include "base/error.h"
#include "bindings/arrays.h"
#include "bindings/model.h"

namespace quaver::bindings {
namespace {

std::vector<Dims> shapes_of(const std::vector<py::iterable>& given) {
  std::vector<Dims> shapes;
  for (const py::iterable& shape : given) {
    shapes.push_back(dims_of(shape));
    if (!is_static(shapes.back())) fail(Status::invalid_input, "shapes must be fixed, got ", to_string(shapes.back()));
  }
  return shapes;
}

Layout make_layout(const std::vector<py::iterable>& shapes, std::vector<std::size_t> offsets) {
  if (shapes.size() != offsets.size()) fail(Status::invalid_input, "each input needs a shape and an offset");
  return {shapes_of(shapes), std::move(offsets)};
}

Frame make_frame(std::vector<std::string> pieces, std::vector<std::size_t> outputs,
                 const std::vector<py::iterable>& shapes) {
  if (pieces.size() != outputs.size() || shapes.size() != outputs.size()) {
    fail(Status::invalid_input, "each output of an answer needs a piece before it and a shape");
  }
  if (std::set(outputs.begin(), outputs.end()).size() != outputs.size()) {
    fail(Status::invalid_input, "an answer has each output at most once");
  }
  return {std::move(pieces), std::move(outputs), shapes_of(shapes)};
}

// An object's bytes, which stay where they are as long as this is there.
class Body {
 public:
  explicit Body(const py::object& object) {
    if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_SIMPLE)) throw py::error_already_set();
  }
  Body(const Body&) = delete;
  Body& operator=(const Body&) = delete;
  ~Body() { PyBuffer_Release(&view_); }

  std::size_t size() const { return static_cast<std::size_t>(view_.len); }
  const char* data() const { return static_cast<const char*>(view_.buf); }

 private:
  Py_buffer view_;
};

std::vector<const void*> inputs_in(const Model& model, const Body& body, std::size_t start, const Layout& layout) {
  const auto& ports = model.inputs();
  const std::size_t given = layout.offsets.size();
  if (given != ports.size()) fail(Status::invalid_input, "expected ", ports.size(), " inputs, got ", given);
  const std::size_t room = body.size() - std::min(start, body.size());
  std::vector<const void*> in;
  in.reserve(given);
  for (std::size_t i = 0; i < given; ++i) {
    const std::size_t offset = layout.offsets[i];
    if (offset > room || bytes_of(ports[i].dtype, layout.shapes[i], Status::invalid_input) > room - offset) {
      fail(Status::invalid_input, "the body has ", body.size(), " bytes, input ", i, " ends after them");
    }
    in.push_back(body.data() + start + offset);
  }
  return in;
}

bool gives(const Plan& plan, const Frame& frame) {
  for (std::size_t i = 0; i < frame.outputs.size(); ++i) {
    if (plan.graph().value(plan.graph().outputs[frame.outputs[i]]).shape != frame.shapes[i]) return false;
  }
  return true;
}

}  // namespace

py::object answer(Model& model, const py::object& body, std::size_t start, const Layout& layout, const Frame& frame) {
  const auto& ports = model.outputs();
  const Body held(body);
  const auto in = inputs_in(model, held, start, layout);
  std::size_t size = 0;
  for (std::size_t i = 0; i < frame.outputs.size(); ++i) {
    if (frame.outputs[i] >= ports.size()) fail(Status::invalid_input, "there is no output ", frame.outputs[i]);
    size += frame.pieces[i].size() + bytes_of(ports[frame.outputs[i]].dtype, frame.shapes[i], Status::invalid_input);
  }
  auto bytes = py::reinterpret_steal<py::object>(PyBytes_FromStringAndSize(nullptr, static_cast<py::ssize_t>(size)));
  if (!bytes) throw py::error_already_set();
  char* at = PyBytes_AS_STRING(bytes.ptr());
  std::vector<void*> out(ports.size(), nullptr);
  for (std::size_t i = 0; i < frame.outputs.size(); ++i) {
    std::memcpy(at, frame.pieces[i].data(), frame.pieces[i].size());
    at += frame.pieces[i].size();
    out[frame.outputs[i]] = at;
    at += bytes_of(ports[frame.outputs[i]].dtype, frame.shapes[i], Status::invalid_input);
  }
  bool given = false;
  {
    const Release released;
    const auto plan = model.plan(layout.shapes);
    given = gives(*plan, frame);
    std::vector<std::unique_ptr<std::byte[]>> spare;  // for the outputs that are not asked for
    for (std::size_t i = 0; given && i < out.size(); ++i) {
      if (out[i]) continue;
      const std::size_t bytes = bytes_of(ports[i].dtype, plan->graph().value(plan->graph().outputs[i]).shape);
      out[i] = spare.emplace_back(std::make_unique_for_overwrite<std::byte[]>(bytes)).get();
    }
    if (given) model.run(*plan, in, out);
  }
  return given ? bytes : py::none();
}

void bind_answer(py::module_& module) {
  py::class_<Layout>(module, "Layout", "Where a model's inputs lie after the head of a body.")
      .def(py::init(&make_layout), py::arg("shapes"), py::arg("offsets"));
  py::class_<Frame>(module, "Frame", "An answer's bytes before each of its tensors.")
      .def(py::init(&make_frame), py::arg("pieces"), py::arg("outputs"), py::arg("shapes"));
}

}  // namespace quaver::bindings
