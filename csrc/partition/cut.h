// Cuts a graph into stages that run one after another, each on one device. Executes nothing and knows no operator: a
// node is what it costs on each device, an edge is what it moves.
//
//   cost = Σ over nodes of their cost on their stage's device
//        + Σ over stages of the latency of entering one
//        + Σ over tensors and the stages after theirs that take them, once for each, of bytes / bandwidth
//          (where the two stages' devices differ)
//
// The number of stages is the least for two devices and the assignment found, where no edge is `apart`; the assignment
// is the best of a local search.
//
// An edge may be marked `apart`: its ends must not share a stage, because the consumer's stage can be prepared only
// when the producer's result is there. Nodes of one `group` are never separated.
#pragma once

#include <cstddef>
#include <limits>
#include <vector>

namespace quaver::partition {

inline constexpr double kCannot = std::numeric_limits<double>::infinity();
inline constexpr std::size_t kAlone = static_cast<std::size_t>(-1);

struct CutNode {
  std::vector<double> cost;  // seconds on each device; kCannot where it cannot run
  std::size_t group = kAlone;
};

struct CutEdge {
  std::size_t from = 0, to = 0;  // from < to: nodes come in run order
  double bytes = 0;
  bool apart = false;
};

struct CutProblem {
  std::size_t devices = 1;
  std::vector<CutNode> nodes;
  std::vector<CutEdge> edges;
  double latency = 0;          // seconds to enter a stage
  double bandwidth = kCannot;  // bytes a second between devices
};

struct Stage {
  std::size_t device = 0;
  std::vector<std::size_t> nodes;  // in run order
};

struct Cut {
  std::vector<Stage> stages;  // in run order
  double cost = 0;
};

// Throws Error(invalid_model) where an edge runs backwards or a group contains what lies between its nodes on a cycle,
// and Error(unsupported) naming the first node that no device can run.
Cut cut(const CutProblem& problem);

}  // namespace quaver::partition
