// _core.cut: the partitioner, on numbers alone.
#include "partition/cut.h"

#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "bindings/bindings.h"

namespace quaver::bindings {
namespace {

using Edge = std::tuple<std::size_t, std::size_t, double, bool>;
using Stage = std::pair<std::size_t, std::vector<std::size_t>>;

std::vector<Stage> cut(const std::vector<std::vector<double>>& costs, const std::vector<Edge>& edges,
                       const std::vector<std::optional<std::size_t>>& groups, double latency, double bandwidth) {
  partition::CutProblem problem;
  problem.devices = costs.empty() ? 1 : costs[0].size();
  problem.latency = latency;
  problem.bandwidth = bandwidth;
  for (std::size_t n = 0; n < costs.size(); ++n) {
    const auto group = n < groups.size() ? groups[n] : std::nullopt;
    problem.nodes.push_back({costs[n], group.value_or(partition::kAlone)});
  }
  for (const auto& [from, to, bytes, apart] : edges) problem.edges.push_back({from, to, bytes, apart});
  std::vector<Stage> stages;
  for (partition::Stage& stage : partition::cut(problem).stages) {
    stages.emplace_back(stage.device, std::move(stage.nodes));
  }
  return stages;
}

}  // namespace

void bind_partition(py::module_& module) {
  module.def("cut", &cut, py::arg("costs"), py::arg("edges"), py::arg("groups"), py::arg("latency"),
             py::arg("bandwidth"), py::call_guard<py::gil_scoped_release>());
}

}  // namespace quaver::bindings
