// _core.info(): this build and this machine.
#include "base/memory.h"
#include "base/thread_pool.h"
#include "bindings/bindings.h"
#include "isa/cpu.h"

#ifndef QUAVER_BUILD_TYPE
#define QUAVER_BUILD_TYPE "unknown"
#endif

namespace quaver::bindings {
namespace {

std::vector<std::string> names_of(IsaSet set) {
  std::vector<std::string> names;
  for (int i = 0; i < kIsaCount; ++i) {
    if (set.has(static_cast<Isa>(i))) names.emplace_back(kIsaNames[i]);
  }
  return names;
}

std::string compiler() {
#if defined(__clang__)
  return "clang " __clang_version__;
#else
  return "gcc " __VERSION__;
#endif
}

py::dict info() {
  py::dict out;
  out["version"] = QUAVER_VERSION;
  out["cpu"] = cpu_name();
  out["isas"] = names_of(detected_isa());
  out["isa"] = name_of(best(usable_isa({})));
  out["threads"] = available_threads();
  out["compiler"] = compiler();
  out["build"] = QUAVER_BUILD_TYPE;
  return out;
}

}  // namespace

void bind_info(py::module_& module) {
  module.def("info", &info, "This build and this machine.");
  module.def("return_free_memory", &return_free_memory, py::call_guard<py::gil_scoped_release>(),
             "Give the system back what was freed.");
}

}  // namespace quaver::bindings
