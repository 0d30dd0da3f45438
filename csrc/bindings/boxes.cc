// _core.non_max_suppression: of all pictures and classes, on NumPy arrays.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/error.h"
#include "bindings/bindings.h"
#include "kernels/boxes/non_max.h"

namespace quaver::bindings {
namespace {

using Floats = py::array_t<float, py::array::c_style | py::array::forcecast>;

py::array_t<std::int64_t> non_max_suppression(const Floats& boxes, const Floats& scores, std::int64_t limit, float iou,
                                              std::optional<float> threshold, bool centred) {
  if (boxes.ndim() != 3 || scores.ndim() != 3 || boxes.shape(2) != 4 || boxes.shape(0) != scores.shape(0) ||
      boxes.shape(1) != scores.shape(2)) {
    fail(Status::invalid_input, "boxes must be [N, B, 4] and scores [N, classes, B]");
  }
  const auto n = static_cast<std::size_t>(boxes.shape(1));
  std::vector<std::uint32_t> order(n), kept(n);
  std::vector<std::int64_t> found;
  kernels::NonMaxArgs args;
  args.boxes = n;
  args.limit = static_cast<std::size_t>(std::clamp<std::int64_t>(limit, 0, static_cast<std::int64_t>(n)));
  args.iou = iou;
  args.threshold = threshold ? &*threshold : nullptr;
  args.centred = centred;
  args.order = order.data(), args.kept = kept.data();
  {
    const py::gil_scoped_release released;
    for (py::ssize_t image = 0; image < scores.shape(0); ++image) {
      for (py::ssize_t label = 0; label < scores.shape(1); ++label) {
        args.box = boxes.data() + static_cast<std::size_t>(image) * n * 4;
        args.score = scores.data() + static_cast<std::size_t>(image * scores.shape(1) + label) * n;
        const std::size_t count = kernels::non_max_suppression(args);
        for (std::size_t i = 0; i < count; ++i) found.insert(found.end(), {image, label, std::int64_t(kept[i])});
      }
    }
  }
  py::array_t<std::int64_t> out({static_cast<py::ssize_t>(found.size() / 3), py::ssize_t{3}});
  std::copy(found.begin(), found.end(), out.mutable_data());
  return out;
}

}  // namespace

void bind_boxes(py::module_& module) {
  module.def("non_max_suppression", &non_max_suppression, py::arg("boxes"), py::arg("scores"), py::arg("limit"),
             py::arg("iou"), py::arg("threshold"), py::arg("centred"));
}

}  // namespace quaver::bindings
