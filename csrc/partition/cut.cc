#include "partition/cut.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "base/error.h"

namespace quaver::partition {
namespace {

// Nodes that stay together, as one.
struct Unit {
  std::vector<std::size_t> nodes;
  std::vector<double> cost;
};

struct Link {
  std::size_t unit;
  bool apart;
};

class Cutter {
 public:
  explicit Cutter(const CutProblem& problem) : problem_(problem) {
    contract();
    order();
  }

  Cut run() {
    std::vector<std::size_t> device(units_.size());
    for (std::size_t u = 0; u < units_.size(); ++u) {
      const auto& cost = units_[u].cost;
      device[u] = static_cast<std::size_t>(std::min_element(cost.begin(), cost.end()) - cost.begin());
      if (cost[device[u]] == kCannot) fail(Status::unsupported, "no device can run node ", units_[u].nodes[0]);
    }
    improve(device);
    return staged(device);
  }

 private:
  void contract() {
    std::map<std::size_t, std::size_t> of_group;
    unit_of_.resize(problem_.nodes.size());
    for (std::size_t n = 0; n < problem_.nodes.size(); ++n) {
      const CutNode& node = problem_.nodes[n];
      if (node.cost.size() != problem_.devices) fail(Status::internal, "node ", n, " has costs of other devices");
      const bool known = node.group != kAlone && of_group.contains(node.group);
      const std::size_t u = known ? of_group[node.group] : units_.size();
      if (!known) units_.push_back({{}, std::vector<double>(problem_.devices, 0.0)});
      if (node.group != kAlone) of_group[node.group] = u;
      unit_of_[n] = u;
      units_[u].nodes.push_back(n);
      for (std::size_t d = 0; d < problem_.devices; ++d) units_[u].cost[d] += node.cost[d];
    }
    before_.resize(units_.size());
    after_.resize(units_.size());
    for (const CutEdge& edge : problem_.edges) {
      if (edge.from >= edge.to || edge.to >= problem_.nodes.size()) {
        fail(Status::invalid_model, "an edge runs from node ", edge.from, " to node ", edge.to);
      }
      const std::size_t from = unit_of_[edge.from], to = unit_of_[edge.to];
      if (from == to) continue;
      before_[to].push_back({from, edge.apart});
      after_[from].push_back({to, edge.apart});
    }
  }

  // Contracted, the units must still have an order.
  void order() const {
    std::vector<std::size_t> waits(units_.size());
    std::vector<std::size_t> ready;
    for (std::size_t u = 0; u < units_.size(); ++u) {
      if ((waits[u] = before_[u].size()) == 0) ready.push_back(u);
    }
    std::size_t done = 0;
    for (; !ready.empty(); ++done) {
      const std::size_t u = ready.back();
      ready.pop_back();
      for (const Link& link : after_[u]) {
        if (--waits[link.unit] == 0) ready.push_back(link.unit);
      }
    }
    if (done != units_.size()) fail(Status::invalid_model, "nodes that stay together need what lies between them");
  }

  // Runs of units: each stage takes all that is ready on its device, and what that makes ready in turn.
  std::vector<std::vector<std::size_t>> runs(const std::vector<std::size_t>& device, std::size_t first) const {
    std::vector<std::size_t> waits(units_.size());
    std::vector<std::set<std::size_t>> ready(problem_.devices);
    for (std::size_t u = 0; u < units_.size(); ++u) {
      if ((waits[u] = before_[u].size()) == 0) ready[device[u]].insert(u);
    }
    std::vector<std::size_t> stage_of(units_.size(), kAlone);
    std::vector<std::vector<std::size_t>> stages;
    std::size_t left = units_.size();
    for (std::size_t d = first; left > 0; d = fullest(ready, d)) {
      std::vector<std::size_t> stage;
      std::vector<std::size_t> held;  // ready, but apart from a unit of this stage
      while (!ready[d].empty()) {
        const std::size_t u = *ready[d].begin();
        ready[d].erase(ready[d].begin());
        const auto clashes = [&](const Link& link) { return link.apart && stage_of[link.unit] == stages.size(); };
        if (std::ranges::any_of(before_[u], clashes)) {
          held.push_back(u);
          continue;
        }
        stage.push_back(u);
        stage_of[u] = stages.size();
        for (const Link& link : after_[u]) {
          if (--waits[link.unit] == 0) ready[device[link.unit]].insert(link.unit);
        }
      }
      ready[d].insert(held.begin(), held.end());
      left -= stage.size();
      if (!stage.empty()) stages.push_back(std::move(stage));
    }
    return stages;
  }

  // The device with most units ready; another than the last where there is a choice.
  static std::size_t fullest(const std::vector<std::set<std::size_t>>& ready, std::size_t last) {
    std::size_t best = last;
    for (std::size_t d = 0; d < ready.size(); ++d) {
      if (d != last && !ready[d].empty() && (best == last || ready[d].size() > ready[best].size())) best = d;
    }
    return best;
  }

  Cut staged(const std::vector<std::size_t>& device) const {
    Cut best;
    for (std::size_t first = 0; first < problem_.devices; ++first) {
      Cut now;
      for (const auto& run : runs(device, first)) {
        Stage stage{device[run[0]], {}};
        for (const std::size_t u : run)
          stage.nodes.insert(stage.nodes.end(), units_[u].nodes.begin(), units_[u].nodes.end());
        std::ranges::sort(stage.nodes);
        now.stages.push_back(std::move(stage));
      }
      now.cost = cost(now, device);
      if (first == 0 || now.cost < best.cost) best = std::move(now);
    }
    return best;
  }

  double cost(const Cut& cut, const std::vector<std::size_t>& device) const {
    double total = problem_.latency * static_cast<double>(cut.stages.size());
    std::vector<std::size_t> stage_of(problem_.nodes.size());
    for (std::size_t s = 0; s < cut.stages.size(); ++s) {
      for (const std::size_t n : cut.stages[s].nodes) stage_of[n] = s;
    }
    for (std::size_t u = 0; u < units_.size(); ++u) total += units_[u].cost[device[u]];
    std::set<std::pair<std::size_t, std::size_t>> moved;  // (node, stage that takes its result)
    for (const CutEdge& edge : problem_.edges) {
      const std::size_t from = stage_of[edge.from], to = stage_of[edge.to];
      if (cut.stages[from].device == cut.stages[to].device || !moved.insert({edge.from, to}).second) continue;
      total += edge.bytes / problem_.bandwidth;
    }
    return total;
  }

  // Whole stages, then single units, to other devices, while that costs less. Bounded: a graph of thousands of nodes
  // must be cut while its user waits.
  void improve(std::vector<std::size_t>& device) const {
    constexpr std::size_t kTries = 4000;
    const std::size_t tries = std::min(kTries, 20'000'000 / (problem_.nodes.size() + problem_.edges.size() + 1) + 1);
    std::size_t tried = 0;
    Cut now = staged(device);
    const auto attempt = [&](const std::vector<std::size_t>& units, std::size_t d) {
      if (++tried > tries) return false;
      std::vector<std::size_t> moved = device;
      for (const std::size_t u : units) {
        if (units_[u].cost[d] == kCannot) return false;
        moved[u] = d;
      }
      Cut other = staged(moved);
      if (other.cost >= now.cost) return false;
      device = std::move(moved);
      now = std::move(other);
      return true;
    };
    for (bool better = true; better && tried < tries;) {
      better = false;
      for (std::size_t s = 0; s < now.stages.size() && !better; ++s) {
        std::set<std::size_t> units;
        for (const std::size_t n : now.stages[s].nodes) units.insert(unit_of_[n]);
        const std::vector<std::size_t> list(units.begin(), units.end());
        for (std::size_t d = 0; d < problem_.devices && !better; ++d) {
          better = d != now.stages[s].device && attempt(list, d);
        }
      }
      for (std::size_t u = 0; u < units_.size() && !better; ++u) {
        const auto crosses = [&](const Link& link) { return device[link.unit] != device[u]; };
        if (std::ranges::none_of(before_[u], crosses) && std::ranges::none_of(after_[u], crosses)) continue;
        for (std::size_t d = 0; d < problem_.devices && !better; ++d) better = d != device[u] && attempt({u}, d);
      }
    }
  }

  const CutProblem& problem_;
  std::vector<Unit> units_;
  std::vector<std::size_t> unit_of_;
  std::vector<std::vector<Link>> before_, after_;
};

}  // namespace

Cut cut(const CutProblem& problem) { return problem.nodes.empty() ? Cut{} : Cutter(problem).run(); }

}  // namespace quaver::partition
