// A graph made ready for this machine: steps with their kernels, and one arena in which every value has its place.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "base/thread_pool.h"
#include "graph/graph.h"
#include "isa/isa.h"
#include "ops/op.h"
#include "passes/passes.h"

namespace quaver {

struct PlanStep {
  NodeId node;
  std::unique_ptr<Step> step;
  std::size_t stage = 0;           // steps of the same stage depend on nothing of one another, and follow one another
  std::unique_ptr<Step> together;  // all of its stage as one, in the first of several
};

class Plan;

// What one run changes: arena, scratch and the table of where values live. One per concurrent run, reusable.
class Execution {
 public:
  Execution(const Plan& plan, unsigned workers);

 private:
  friend class Plan;
  AlignedBuffer arena_, scratch_;
  std::vector<std::byte*> values_;
};

class Plan {
 public:
  // Every shape in `graph` must be static. Throws Error(unsupported | invalid_model) naming the node.
  Plan(Graph graph, IsaSet isa, std::shared_ptr<PackCache> cache, FloatPrecision precision = FloatPrecision::fp32);

  const Graph& graph() const { return graph_; }
  const std::vector<PlanStep>& steps() const { return steps_; }
  std::size_t arena_bytes() const { return arena_bytes_; }
  std::size_t scratch_bytes() const { return scratch_bytes_; }        // of one worker
  std::size_t activation_bytes() const { return activation_bytes_; }  // what the arena would be without sharing
  // A value's place in the arena; nothing for constants, inputs, outputs.
  std::optional<std::size_t> offset(ValueId id) const;

  // Runs on the caller and the pool's threads (pool may be null: the caller alone). inputs[i] and outputs[i] are dense
  // buffers of the graph's i-th input and output, or of several such one after the other, of which the `at`-th is
  // meant; they may be unaligned. Allocates nothing.
  void run(Execution& execution, std::span<const void* const> inputs, std::span<void* const> outputs, ThreadPool* pool,
           std::size_t at = 0) const;

  // As run, calling after(step index, seconds) after each step.
  using Observer = std::function<void(std::size_t, double)>;
  void run_observed(Execution& execution, std::span<const void* const> inputs, std::span<void* const> outputs,
                    ThreadPool* pool, const Observer& after) const;

 private:
  friend class Execution;
  struct Slot {  // a value bound to a caller's buffer
    ValueId value;
    std::size_t index, bytes;
  };
  struct Copy {  // an output that no step can write itself: an input, a constant, or one value given twice
    ValueId value;
    std::size_t output, bytes;
  };

  void lower(IsaSet isa, FloatPrecision precision);
  void absorb_tables(IsaSet isa);
  void absorb_functions();
  void group_products();
  void assign_memory();
  template <bool kTogether, class After>
  void run_steps(Execution& execution, std::span<const void* const> inputs, std::span<void* const> outputs,
                 ThreadPool* pool, std::size_t at, After after) const;

  Graph graph_;
  std::shared_ptr<PackCache> cache_;
  std::vector<PlanStep> steps_;
  std::vector<std::size_t> offsets_;  // by ValueId; SIZE_MAX: not in the arena
  std::vector<Slot> input_slots_, output_slots_;
  std::vector<std::pair<ValueId, ValueId>> constant_slots_;  // values that are views of a constant
  std::vector<Copy> copies_;
  std::size_t arena_bytes_ = 0, scratch_bytes_ = 0, activation_bytes_ = 0;
};

// Evaluates single nodes with constant inputs through the scalar kernels: the passes' view of the operators.
Evaluator make_evaluator();

}  // namespace quaver
