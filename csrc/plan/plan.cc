#include "plan/plan.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/bytes_of.h"
#include "graph/schema.h"
#include "ops/group_step.h"
#include "plan/memory.h"

namespace quaver {
namespace {

constexpr std::size_t kNowhere = SIZE_MAX;

std::size_t bytes_of(const Value& value) { return quaver::bytes_of(value.dtype, value.shape); }

// Values that are views of one another, by the value that owns the bytes.
std::vector<ValueId> storage_owners(const Graph& graph) {
  std::vector<ValueId> owner(graph.values.size());
  for (ValueId id = 0; id < owner.size(); ++id) owner[id] = id;
  for (const Node& node : graph.nodes) {
    if (schema_of(node.op).alias) owner[node.outputs[0]] = owner[node.inputs[0]];
  }
  return owner;
}

void expect_static(const Graph& graph) {
  for (const Node& node : graph.nodes) {
    for (const ValueId id : node.outputs) {
      if (id == kNone || graph.value(id).static_shape()) continue;
      const Value& value = graph.value(id);
      fail(Status::unsupported, name_of(node.op), " '", node.name, "': the shape of its output '", value.name,
           "' is not known before the run", value.ranked ? ": " + to_string(value.shape) : "",
           "; it depends on the contents of a tensor, which a plan cannot follow");
    }
  }
}

}  // namespace

Plan::Plan(Graph graph, IsaSet isa, std::shared_ptr<PackCache> cache, FloatPrecision precision)
    : graph_(std::move(graph)), cache_(std::move(cache)), offsets_(graph_.values.size(), kNowhere) {
  graph_.compact();
  offsets_.assign(graph_.values.size(), kNowhere);
  expect_static(graph_);
  lower(isa, precision);
  absorb_tables(isa);
  absorb_functions();
  for (const PlanStep& planned : steps_) scratch_bytes_ = std::max(scratch_bytes_, align_up(planned.step->scratch));
  group_products();
  assign_memory();
}

void Plan::lower(IsaSet isa, FloatPrecision precision) {
  for (NodeId id = 0; id < graph_.nodes.size(); ++id) {
    const Node& node = graph_.nodes[id];
    if (schema_of(node.op).alias) continue;
    LowerContext context(graph_, node, isa, *cache_, precision);
    std::unique_ptr<Step> step = lowering_of(node.op)(context);
    steps_.push_back({id, std::move(step)});
  }
}

// Tables become part of the steps that make what they look up, where nobody else uses it, or else of the one step that
// uses what they give. A node then lists what its step reads and writes.
void Plan::absorb_tables(IsaSet isa) {
  const Uses uses(graph_);
  std::vector<Step*> step_of(graph_.nodes.size(), nullptr);
  for (const PlanStep& planned : steps_) step_of[planned.node] = planned.step.get();
  std::vector<bool> absorbed(graph_.nodes.size(), false);
  const auto table_of = [&](NodeId id) { return graph_.value(graph_.nodes[id].inputs[1]).data->as<std::uint8_t>(); };
  const auto is_table = [&](NodeId id) {
    return graph_.nodes[id].op == Op::Table && graph_.value(graph_.nodes[id].inputs[1]).constant();
  };
  const auto absorb = [&](NodeId table, NodeId by) {
    std::string& note = graph_.nodes[by].note;
    note += text(note.empty() ? "" : "; ", "with Table '", graph_.nodes[table].name, "'");
    absorbed[table] = true;
  };
  for (NodeId id = 0; id < graph_.nodes.size(); ++id) {
    if (!step_of[id] || absorbed[id] || graph_.nodes[id].outputs.size() != 1) continue;
    const ValueId made = graph_.nodes[id].outputs[0];
    const std::vector<NodeId>& users = uses.consumers[made];
    if (users.empty() || graph_.is_output(made) || !std::all_of(users.begin(), users.end(), is_table)) continue;
    std::vector<ValueId> outputs;
    for (const NodeId user : users) {
      if (!step_of[id]->absorb_table(table_of(user), isa, graph_.nodes[user].outputs[0])) break;
      outputs.push_back(graph_.nodes[user].outputs[0]);
      absorb(user, id);
    }
    if (!outputs.empty()) graph_.nodes[id].outputs = outputs;
  }
  for (NodeId id = 0; id < graph_.nodes.size(); ++id) {
    if (!step_of[id] || absorbed[id] || !is_table(id)) continue;
    const ValueId x = graph_.nodes[id].inputs[0], y = graph_.nodes[id].outputs[0];
    const std::vector<NodeId>& users = uses.consumers[y];
    if (users.size() != 1 || graph_.is_output(y) || !step_of[users[0]]) continue;
    if (!step_of[users[0]]->absorb_lookup(table_of(id), x, y)) continue;
    std::ranges::replace(graph_.nodes[users[0]].inputs, y, x);
    absorb(id, users[0]);
  }
  std::erase_if(steps_, [&](const PlanStep& planned) { return absorbed[planned.node]; });
}

// Functions of single floats, and their rounding to bytes, become part of the steps that make them, where nobody else
// uses those.
void Plan::absorb_functions() {
  const Uses uses(graph_);
  std::vector<Step*> step_of(graph_.nodes.size(), nullptr);
  for (const PlanStep& planned : steps_) step_of[planned.node] = planned.step.get();
  std::vector<bool> absorbed(graph_.nodes.size(), false);
  // The user of the node's result that its step can do, too.
  const auto absorb = [&](NodeId id) -> std::optional<NodeId> {
    const Node& node = graph_.nodes[id];
    if (!step_of[id] || node.outputs.size() != 1 || graph_.is_output(node.outputs[0])) return std::nullopt;
    const std::vector<NodeId>& users = uses.consumers[node.outputs[0]];
    if (users.size() != 1 || !step_of[users[0]] || graph_.nodes[users[0]].outputs.size() != 1) return std::nullopt;
    const ValueId out = graph_.nodes[users[0]].outputs[0];
    const RealFunction* function = step_of[users[0]]->function();
    const ByteRounding* rounding = step_of[users[0]]->rounding();
    const bool taken = function   ? step_of[id]->absorb_function(*function, out)
                       : rounding ? step_of[id]->absorb_rounding(*rounding, out)
                                  : false;
    return taken ? std::optional(users[0]) : std::nullopt;
  };
  for (NodeId id = 0; id < graph_.nodes.size(); ++id) {
    while (const std::optional<NodeId> user = absorb(id)) {
      Node& node = graph_.nodes[id];
      const Node& done = graph_.nodes[*user];
      node.note += text(node.note.empty() ? "" : "; ", "with ", name_of(done.op), " '", done.name, "'");
      node.outputs = done.outputs;
      step_of[*user] = nullptr;
      absorbed[*user] = true;
    }
  }
  std::erase_if(steps_, [&](const PlanStep& planned) { return absorbed[planned.node]; });
}

// Products of one value, such as the queries, keys and values of attention, become one stage.
void Plan::group_products() {
  const auto is_product = [](Op op) { return op == Op::MatMul || op == Op::MatMulIntegerToFloat; };
  const auto joins = [&](const Node& node, const Node& first) {
    if (!is_product(node.op) || node.inputs[0] != first.inputs[0]) return false;
    return std::ranges::all_of(node.inputs, [&](ValueId id) {
      return id == kNone || graph_.value(id).constant() || std::ranges::count(first.inputs, id) > 0;
    });
  };
  std::size_t stage = 0;
  for (std::size_t s = 0; s < steps_.size(); ++stage) {
    const Node& first = graph_.nodes[steps_[s].node];
    std::size_t end = s + 1;
    for (std::size_t other = end; is_product(first.op) && other < steps_.size(); ++other) {
      if (!joins(graph_.nodes[steps_[other].node], first)) continue;
      std::rotate(steps_.begin() + end, steps_.begin() + other, steps_.begin() + other + 1);
      ++end;
    }
    std::vector<const Step*> steps;
    for (std::size_t member = s; member < end; ++member) {
      steps_[member].stage = stage;
      steps.push_back(steps_[member].step.get());
    }
    if (steps.size() > 1) steps_[s].together = std::make_unique<GroupStep>(std::move(steps));
    s = end;
  }
}

void Plan::assign_memory() {
  const std::vector<ValueId> owner = storage_owners(graph_);
  const std::size_t none = SIZE_MAX;
  std::vector<std::size_t> external(graph_.values.size(), none);  // by owner: the output buffer it is bound to
  std::vector<bool> produced(graph_.values.size(), false);
  for (const PlanStep& step : steps_) {
    for (const ValueId id : graph_.nodes[step.node].outputs) {
      if (id != kNone) produced[id] = true;
    }
  }
  for (std::size_t i = 0; i < graph_.outputs.size(); ++i) {
    const ValueId root = owner[graph_.outputs[i]];
    if (produced[root] && external[root] == none) {
      external[root] = i;
    } else {
      copies_.push_back({graph_.outputs[i], i, bytes_of(graph_.value(graph_.outputs[i]))});
    }
  }
  for (ValueId id = 0; id < graph_.values.size(); ++id) {
    const std::size_t bytes = bytes_of(graph_.value(owner[id]));
    if (external[owner[id]] != none) output_slots_.push_back({id, external[owner[id]], bytes});
    for (std::size_t i = 0; i < graph_.inputs.size(); ++i) {
      if (owner[id] == graph_.inputs[i]) input_slots_.push_back({id, i, bytes});
    }
    if (graph_.value(owner[id]).constant()) constant_slots_.push_back({id, owner[id]});
  }

  // By owner: the last stage that reads it, and how often that one does.
  struct Use {
    std::size_t stage = 0, times = 0;
  };
  std::vector<Use> last_use(graph_.values.size());
  for (const PlanStep& step : steps_) {
    for (const ValueId id : graph_.nodes[step.node].inputs) {
      if (id == kNone) continue;
      Use& use = last_use[owner[id]];
      use = {step.stage, use.stage == step.stage ? use.times + 1 : 1};
    }
  }
  for (const Copy& copy : copies_) last_use[owner[copy.value]] = {steps_.size(), 1};

  std::vector<Block> blocks;
  std::vector<std::size_t> block_of(graph_.values.size(), none);
  const auto taken_over = [&](const PlanStep& step) {  // the block that its output takes over
    const std::vector<ValueId>& outputs = graph_.nodes[step.node].outputs;
    const ValueId id = step.step->overwrites();
    if (id == kNone || outputs.size() != 1) return none;
    const Use& use = last_use[owner[id]];
    const bool fits = bytes_of(graph_.value(outputs[0])) == bytes_of(graph_.value(owner[id]));
    return fits && use.stage == step.stage && use.times == 1 ? block_of[owner[id]] : none;
  };
  for (std::size_t s = 0; s < steps_.size(); ++s) {
    const Node& node = graph_.nodes[steps_[s].node];
    const std::size_t stage = steps_[s].stage;
    for (const ValueId id : node.outputs) {
      if (id == kNone || external[id] != none) continue;
      const std::size_t size = std::max<std::size_t>(bytes_of(graph_.value(id)), 1);
      activation_bytes_ += align_up(size);
      block_of[id] = taken_over(steps_[s]);
      if (block_of[id] != none) continue;
      block_of[id] = blocks.size();
      blocks.push_back({size, stage, stage, 0});
    }
    for (const ValueId id : node.inputs) {
      if (id != kNone && block_of[owner[id]] != none) blocks[block_of[owner[id]]].last = stage;
    }
  }
  for (const Copy& copy : copies_) {
    if (const std::size_t block = block_of[owner[copy.value]]; block != none) blocks[block].last = steps_.size();
  }
  arena_bytes_ = place(blocks);
  for (ValueId id = 0; id < graph_.values.size(); ++id) {
    if (block_of[owner[id]] != none) offsets_[id] = blocks[block_of[owner[id]]].offset;
  }
}

std::optional<std::size_t> Plan::offset(ValueId id) const {
  if (offsets_[id] == kNowhere) return std::nullopt;
  return offsets_[id];
}

Execution::Execution(const Plan& plan, unsigned workers)
    : arena_(plan.arena_bytes_), scratch_(plan.scratch_bytes_ * workers), values_(plan.graph_.values.size(), nullptr) {
  for (ValueId id = 0; id < values_.size(); ++id) {
    if (plan.offsets_[id] != kNowhere) values_[id] = arena_.data() + plan.offsets_[id];
  }
  for (const auto& [id, constant] : plan.constant_slots_) {
    values_[id] = const_cast<std::byte*>(plan.graph_.value(constant).data->data());
  }
}

template <bool kTogether, class After>
void Plan::run_steps(Execution& execution, std::span<const void* const> inputs, std::span<void* const> outputs,
                     ThreadPool* pool, std::size_t at, After after) const {
  const auto place = [at](void* buffer, std::size_t bytes) { return static_cast<std::byte*>(buffer) + at * bytes; };
  for (const Slot& slot : input_slots_) {
    execution.values_[slot.value] = place(const_cast<void*>(inputs[slot.index]), slot.bytes);
  }
  for (const Slot& slot : output_slots_) execution.values_[slot.value] = place(outputs[slot.index], slot.bytes);

  struct Job {
    const Step* step;
    std::byte* const* values;
    std::byte* scratch;
    std::size_t scratch_bytes;
  } job{nullptr, execution.values_.data(), execution.scratch_.data(), scratch_bytes_};
  const ThreadPool::Work work = [](void* context, std::size_t first, std::size_t last, unsigned worker) {
    const Job& j = *static_cast<const Job*>(context);
    j.step->run(RunContext{j.values, j.scratch + worker * j.scratch_bytes, worker}, first, last);
  };
  for (std::size_t s = 0; s < steps_.size(); ++s) {
    job.step = steps_[s].step.get();
    if (kTogether && pool && steps_[s].together) {
      job.step = steps_[s].together.get();
      while (s + 1 < steps_.size() && steps_[s + 1].stage == steps_[s].stage) ++s;
    }
    if (pool) {
      pool->run(job.step->units, work, &job);
    } else {
      work(&job, 0, job.step->units, 0);
    }
    after(s);
  }
  for (const Copy& copy : copies_) {
    std::memcpy(place(outputs[copy.output], copy.bytes), execution.values_[copy.value], copy.bytes);
  }
}

void Plan::run(Execution& execution, std::span<const void* const> inputs, std::span<void* const> outputs,
               ThreadPool* pool, std::size_t at) const {
  run_steps<true>(execution, inputs, outputs, pool, at, [](std::size_t) {});
}

void Plan::run_observed(Execution& execution, std::span<const void* const> inputs, std::span<void* const> outputs,
                        ThreadPool* pool, const Observer& after) const {
  using Clock = std::chrono::steady_clock;
  Clock::time_point start = Clock::now();
  run_steps<false>(execution, inputs, outputs, pool, 0, [&](std::size_t s) {
    after(s, std::chrono::duration<double>(Clock::now() - start).count());
    start = Clock::now();
  });
}

}  // namespace quaver
