// The cutter against every assignment of devices and every split into stages, on small random graphs.
#include "partition/cut.h"

#include <algorithm>
#include <random>
#include <set>

#include "base/error.h"
#include "cpp/check.h"

namespace {

using namespace quaver;
using namespace quaver::partition;

Status failure_of(const CutProblem& problem) {
  try {
    cut(problem);
  } catch (const Error& error) {
    return error.status();
  }
  return Status::ok;
}

// Each node in one stage, all of a stage on a device that can, nothing before what it takes.
void expect_valid(const CutProblem& problem, const Cut& cut) {
  std::vector<std::size_t> stage_of(problem.nodes.size(), kAlone);
  std::size_t placed = 0;
  for (std::size_t s = 0; s < cut.stages.size(); ++s) {
    CHECK(!cut.stages[s].nodes.empty());
    for (const std::size_t n : cut.stages[s].nodes) {
      CHECK_EQ(stage_of[n], kAlone);
      CHECK(problem.nodes[n].cost[cut.stages[s].device] < kCannot);
      stage_of[n] = s;
      ++placed;
    }
  }
  CHECK_EQ(placed, problem.nodes.size());
  for (const CutEdge& edge : problem.edges) {
    CHECK(edge.apart ? stage_of[edge.from] < stage_of[edge.to] : stage_of[edge.from] <= stage_of[edge.to]);
  }
  for (std::size_t a = 0; a < problem.nodes.size(); ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      if (problem.nodes[a].group != kAlone && problem.nodes[a].group == problem.nodes[b].group) {
        CHECK_EQ(stage_of[a], stage_of[b]);
      }
    }
  }
}

// The fewest stages of fixed devices: all ways to go on from a set of finished nodes.
class Fewest {
 public:
  Fewest(const CutProblem& problem, const std::vector<std::size_t>& device)
      : problem_(problem), device_(device), best_(std::size_t{1} << device.size(), 0) {}

  std::size_t from(std::size_t done) {
    if (done + 1 == best_.size()) return 0;
    if (best_[done]) return best_[done];
    std::size_t best = SIZE_MAX;
    for (std::size_t d = 0; d < problem_.devices; ++d) {
      std::size_t now = done;
      for (bool grew = true; grew;) {
        grew = false;
        for (std::size_t n = 0; n < device_.size(); ++n) {
          if ((now >> n & 1) || device_[n] != d || !ready(n, now, done)) continue;
          now |= std::size_t{1} << n;
          grew = true;
        }
      }
      if (now != done) best = std::min(best, 1 + from(now));
    }
    return best_[done] = best;
  }

 private:
  bool ready(std::size_t n, std::size_t now, std::size_t before) const {
    return std::ranges::all_of(problem_.edges, [&](const CutEdge& edge) {
      return edge.to != n || ((edge.apart ? before : now) >> edge.from & 1);
    });
  }

  const CutProblem& problem_;
  const std::vector<std::size_t>& device_;
  std::vector<std::size_t> best_;
};

CutProblem random_problem(std::mt19937& random, std::size_t n) {
  CutProblem problem{.devices = 2, .nodes = {}, .edges = {}, .latency = 1, .bandwidth = 1e9};
  for (std::size_t i = 0; i < n; ++i) {
    const bool second = random() % 3 == 0;
    problem.nodes.push_back({{second ? kCannot : 1.0, second ? 1.0 : kCannot}, kAlone});
    for (std::size_t j = 0; j < i; ++j) {
      if (random() % 3 == 0) problem.edges.push_back({j, i, 8.0, random() % 8 == 0});
    }
  }
  return problem;
}

TEST(cut_needs_the_fewest_stages_of_two_devices) {
  std::mt19937 random(20261125);
  for (int round = 0; round < 200; ++round) {
    const CutProblem problem = random_problem(random, 1 + random() % 9);
    const Cut found = cut(problem);
    expect_valid(problem, found);
    std::vector<std::size_t> device;
    for (const CutNode& node : problem.nodes) device.push_back(node.cost[0] == kCannot ? 1 : 0);
    const std::size_t fewest = Fewest(problem, device).from(0);
    const bool apart = std::ranges::any_of(problem.edges, [](const CutEdge& edge) { return edge.apart; });
    CHECK(apart ? found.stages.size() <= fewest + 1 : found.stages.size() == fewest);
  }
}

TEST(cut_does_not_cross_for_less_than_a_crossing_costs) {
  CutProblem problem{.devices = 2, .nodes = {}, .edges = {}, .latency = 1, .bandwidth = 100};
  for (int i = 0; i < 5; ++i) problem.nodes.push_back({{1, i == 2 ? 1.5 : 9}, kAlone});
  problem.nodes[1].cost = problem.nodes[3].cost = {kCannot, 1};
  for (std::size_t i = 1; i < 5; ++i) problem.edges.push_back({i - 1, i, 10, false});
  const Cut found = cut(problem);  // node 2 costs half more over there, but two crossings and two stages less
  expect_valid(problem, found);
  CHECK_EQ(found.stages.size(), 3u);
  CHECK_EQ(found.stages[1].nodes.size(), 3u);
  CHECK(std::abs(found.cost - (1 + 1 + 1.5 + 1 + 1 + 3 + 0.2)) < 1e-9);
  problem.nodes[2].cost[1] = 50;
  CHECK_EQ(cut(problem).stages.size(), 5u);
}

TEST(cut_keeps_groups_together) {
  CutProblem problem{.devices = 2, .nodes = {}, .edges = {}, .latency = 1, .bandwidth = 1e9};
  problem.nodes = {{{1, 5}, 0}, {{5, 1}, 0}, {{1, 1}, kAlone}};
  problem.edges = {{0, 1, 1, false}, {1, 2, 1, false}};
  const Cut found = cut(problem);
  expect_valid(problem, found);
  CHECK_EQ(found.stages.size(), 1u);
  problem.nodes[2].group = 1;
  problem.nodes.push_back({{1, 1}, 0});
  problem.edges.push_back({2, 3, 1, false});
  CHECK(failure_of(problem) == Status::invalid_model);  // 2 lies between the nodes of a group
}

TEST(cut_says_what_cannot_run) {
  CutProblem problem{.devices = 1, .nodes = {{{1}, kAlone}, {{kCannot}, kAlone}}, .edges = {}, .latency = 0};
  CHECK(failure_of(problem) == Status::unsupported);
  problem.edges.push_back({1, 0, 0, false});
  CHECK(failure_of(problem) == Status::invalid_model);
  CHECK(cut(CutProblem{}).stages.empty());
}

}  // namespace
