// _core.Slot: a model that can be exchanged while it runs. A pin is an ordinary _core.Model that holds its version; of
// a version that is no native graph, an object that passes on what is asked of it.
#include "model/slot.h"

#include <chrono>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "bindings/answer.h"
#include "bindings/bindings.h"
#include "bindings/model.h"

namespace quaver::bindings {
namespace {

// A native model, or any object that has a model's methods.
class Version {
 public:
  explicit Version(const py::object& core) {
    if (py::isinstance<PyModel>(core)) {
      model_ = core.cast<const PyModel&>().shared();
    } else {
      other_ = core;
    }
  }
  Version(const Version&) = delete;
  Version& operator=(const Version&) = delete;
  ~Version() {
    if (!other_) return;
    const py::gil_scoped_acquire held;  // dropped by the slot's own thread
    other_ = {};
  }

  const std::shared_ptr<Model>& model() const { return model_; }
  const py::object& other() const { return other_; }

 private:
  std::shared_ptr<Model> model_;
  py::object other_;
};

using Versions = HotSwap<Version>;

struct Held {
  std::shared_ptr<Versions> slot;  // outlives the pin
  Versions::Pin pin;
};

class PySlot {
 public:
  PySlot(const py::object& first, std::uint64_t version, SlotLimits limits) {
    auto made = std::make_shared<Version>(first);
    learn(*made);
    slot_ = std::make_shared<Versions>(std::move(made), version, limits);
  }
  PySlot(PySlot&&) = default;
  ~PySlot() {
    const Release released;
    slot_.reset();
  }

  Versions& slot() const { return *slot_; }

  py::tuple pin() const {
    auto held = std::make_shared<Held>(Held{slot_, slot_->pin()});
    const std::uint64_t version = held->pin.version();
    Model* model = held->pin->model().get();
    if (!model) return py::make_tuple(std::move(held), version);
    return py::make_tuple(PyModel(std::shared_ptr<Model>(std::move(held), model), *dtypes_), version);
  }

  std::uint64_t swap(const py::object& next, std::optional<std::uint64_t> version, double timeout) {
    auto made = std::make_shared<Version>(next);
    expect_fits(*made);
    learn(*made);
    const Release released;
    const std::chrono::duration<double> seconds(timeout);
    return slot_->swap(std::move(made), {version, std::chrono::ceil<std::chrono::milliseconds>(seconds)});
  }

  // Of what is no native graph, the caller must have looked.
  void expect_fits(const Version& next) const {
    const Versions::Pin pin = slot_->pin();
    if (pin->model() && next.model()) expect_same_signature(*pin->model(), *next.model());
  }

 private:
  // All versions take and give the same.
  void learn(const Version& version) {
    if (version.model() && !dtypes_) dtypes_.emplace(*version.model());
  }

  std::shared_ptr<Versions> slot_;
  std::optional<Dtypes> dtypes_;
};

// What a dictionary has for a key; None where it has nothing.
py::object found(const py::dict& dict, const py::object& key) {
  PyObject* value = PyDict_GetItemWithError(dict.ptr(), key.ptr());
  if (!value && PyErr_Occurred()) throw py::error_already_set();
  return value ? py::reinterpret_borrow<py::object>(value) : py::none();
}

// By the current version: the answer and the version's number. None where there is no frame of it that fits, or it is
// no native graph.
py::object answer_now(const PySlot& self, const py::object& body, std::size_t start, const Layout& layout,
                      const py::dict& numbers, const py::dict& frames) {
  const Versions::Pin pin = self.slot().pin();
  if (!pin->model()) return py::none();
  const py::object number = found(numbers, py::int_(pin.version()));
  const py::object frame = found(frames, number);
  if (frame.is_none()) return py::none();
  auto bytes = answer(*pin->model(), body, start, layout, frame.cast<const Frame&>());
  return bytes.is_none() ? bytes : py::make_tuple(std::move(bytes), number);
}

}  // namespace

void bind_slot(py::module_& module) {
  py::class_<Held, std::shared_ptr<Held>>(module, "Held", "A version that is no native graph, held.")
      .def_property_readonly("version", [](const Held& self) { return self.pin.version(); })
      .def(
          "__getattr__", [](const Held& self, const py::str& name) { return py::object(self.pin->other().attr(name)); },
          py::arg("name"));
  py::class_<PySlot>(module, "Slot", "A model that can be exchanged while it runs.")
      .def(py::init([](const py::object& model, std::uint64_t version, unsigned max_live, bool keep_previous) {
             return PySlot(model, version, {max_live, keep_previous});
           }),
           py::arg("model"), py::arg("version"), py::arg("max_live"), py::arg("keep_previous"))
      .def_property_readonly("version", [](const PySlot& self) { return self.slot().version(); })
      .def(
          "live", [](const PySlot& self) { return self.slot().live(); }, py::call_guard<Release>())
      .def("pin", &PySlot::pin)
      .def("answer", &answer_now, py::arg("body"), py::arg("start"), py::arg("layout"), py::arg("numbers"),
           py::arg("frames"))
      .def(
          "expect_fits", [](const PySlot& self, const py::object& next) { self.expect_fits(Version(next)); },
          py::arg("model"))
      .def("swap", &PySlot::swap, py::arg("model"), py::arg("version"), py::arg("timeout"))
      .def(
          "rollback", [](const PySlot& self) { return self.slot().rollback(); }, py::call_guard<Release>())
      .def("stop", [](const PySlot& self) { self.slot().stop(); }, py::call_guard<Release>());
}

}  // namespace quaver::bindings
