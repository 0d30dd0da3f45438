#include "bindings/bindings.h"

PYBIND11_MODULE(_core, module) {
  using namespace quaver::bindings;
  module.doc() = "Quaver's native core.";
  bind_errors(module);
  bind_info(module);
  bind_graph(module);
  bind_inspect(module);
  bind_answer(module);
  bind_model(module);
  bind_slot(module);
  bind_partition(module);
  bind_boxes(module);
}
