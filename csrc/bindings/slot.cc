// _core.Slot: a model that can be exchanged while it runs. A pin is an ordinary _core.Model that holds its version.
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

class PySlot {
 public:
  PySlot(const PyModel& first, std::uint64_t version, SlotLimits limits)
      : slot_(std::make_shared<Slot>(first.shared(), version, limits)), dtypes_(first.dtypes()) {}
  PySlot(PySlot&&) = default;
  ~PySlot() {
    const Release released;
    slot_.reset();
  }

  Slot& slot() const { return *slot_; }

  std::pair<PyModel, std::uint64_t> pin() const {
    struct Held {
      std::shared_ptr<Slot> slot;  // outlives the pin
      Slot::Pin pin;
    };
    auto held = std::make_shared<Held>(Held{slot_, slot_->pin()});
    Model* model = &*held->pin;
    const std::uint64_t version = held->pin.version();
    return {PyModel(std::shared_ptr<Model>(std::move(held), model), dtypes_), version};
  }

 private:
  std::shared_ptr<Slot> slot_;
  Dtypes dtypes_;
};

// By the current version: the answer and the version's number. None where there is no frame of it that fits.
py::object answer_now(const PySlot& self, const py::object& body, std::size_t start, const Layout& layout,
                      const py::dict& numbers, const py::dict& frames) {
  const Slot::Pin pin = self.slot().pin();
  const auto number = numbers.attr("get")(pin.version());
  const auto frame = frames.attr("get")(number);
  if (frame.is_none()) return py::none();
  auto bytes = answer(*pin, body, start, layout, frame.cast<const Frame&>());
  return bytes.is_none() ? bytes : py::make_tuple(std::move(bytes), number);
}

std::uint64_t swap(const PySlot& self, const PyModel& model, std::optional<std::uint64_t> version, double timeout) {
  const Release released;
  const std::chrono::duration<double> seconds(timeout);
  return self.slot().swap(model.shared(), {version, std::chrono::ceil<std::chrono::milliseconds>(seconds)});
}

void expect_fits(const PySlot& self, const PyModel& model) { expect_same_signature(*self.slot().pin(), model.model()); }

}  // namespace

void bind_slot(py::module_& module) {
  py::class_<PySlot>(module, "Slot", "A model that can be exchanged while it runs.")
      .def(py::init([](const PyModel& model, std::uint64_t version, unsigned max_live, bool keep_previous) {
             return PySlot(model, version, {max_live, keep_previous});
           }),
           py::arg("model"), py::arg("version"), py::arg("max_live"), py::arg("keep_previous"))
      .def_property_readonly("version", [](const PySlot& self) { return self.slot().version(); })
      .def(
          "live", [](const PySlot& self) { return self.slot().live(); }, py::call_guard<Release>())
      .def("pin", &PySlot::pin)
      .def("answer", &answer_now, py::arg("body"), py::arg("start"), py::arg("layout"), py::arg("numbers"),
           py::arg("frames"))
      .def("expect_fits", &expect_fits, py::arg("model"))
      .def("swap", &swap, py::arg("model"), py::arg("version"), py::arg("timeout"))
      .def(
          "rollback", [](const PySlot& self) { return self.slot().rollback(); }, py::call_guard<Release>())
      .def("stop", [](const PySlot& self) { self.slot().stop(); }, py::call_guard<Release>());
}

}  // namespace quaver::bindings
