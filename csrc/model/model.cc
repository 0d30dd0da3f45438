#include "model/model.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <list>
#include <mutex>

#include "base/mapped_file.h"
#include "graph/schema.h"
#include "isa/cpu.h"
#include "kernels/prefer.h"
#include "model/file.h"
#include "model/shared_constants.h"
#include "ops/families.h"
#include "ops/pack_cache.h"
#include "passes/passes.h"

namespace quaver {
namespace {

// Plans kept for input shapes other than the model's own.
constexpr std::size_t kMaxPlans = 16;

// A plan with the executions that its runs take turns on.
class PooledPlan final : public Plan {
 public:
  // `one`: the graph of one image of the batch, where images go their own ways.
  PooledPlan(Graph graph, std::optional<Graph> one, IsaSet isa, std::shared_ptr<PackCache> cache,
             FloatPrecision precision, unsigned workers)
      : Plan(std::move(graph), isa, cache, precision), workers_(workers) {
    idle_.reserve(64);
    if (one && worth_parting()) {
      one_ =
          std::make_unique<const PooledPlan>(std::move(*one), std::nullopt, isa, std::move(cache), precision, workers);
    } else {
      idle_.push_back(std::make_unique<Execution>(*this, workers_));
    }
  }

  std::unique_ptr<Execution> take() const {
    {
      const std::lock_guard lock(mutex_);
      if (!idle_.empty()) {
        auto execution = std::move(idle_.back());
        idle_.pop_back();
        return execution;
      }
    }
    return std::make_unique<Execution>(*this, workers_);
  }

  std::size_t memory() const {
    const std::lock_guard lock(mutex_);
    return idle_.size() * (arena_bytes() + workers_ * scratch_bytes()) + (one_ ? one_->memory() : 0);
  }

  void give_back(std::unique_ptr<Execution> execution) const {
    const std::lock_guard lock(mutex_);
    if (idle_.size() < idle_.capacity()) idle_.push_back(std::move(execution));
  }

  // One run: where images go their own ways, as many at once as there are threads, and the last few, too few for that,
  // one after the other on all threads.
  void run_pooled(std::span<const void* const> inputs, std::span<void* const> outputs, ThreadPool* pool) const {
    if (!one_) return run_at(inputs, outputs, pool, 0);
    struct Job {
      const PooledPlan& one;
      std::span<const void* const> inputs;
      std::span<void* const> outputs;
    } job{*one_, inputs, outputs};
    const ThreadPool::Work work = [](void* context, std::size_t first, std::size_t last, unsigned) {
      const Job& j = *static_cast<const Job*>(context);
      for (std::size_t at = first; at < last; ++at) j.one.run_at(j.inputs, j.outputs, nullptr, at);
    };
    const std::size_t all = images(), apart = all / workers_ * workers_;
    if (pool) {
      pool->run(apart, work, &job);
    } else {
      work(&job, 0, apart, 0);
    }
    for (std::size_t at = apart; at < all; ++at) one_->run_at(inputs, outputs, pool, at);
  }

 private:
  void run_at(std::span<const void* const> inputs, std::span<void* const> outputs, ThreadPool* pool,
              std::size_t at) const {
    std::unique_ptr<Execution> execution = take();
    run(*execution, inputs, outputs, pool, at);
    give_back(std::move(execution));
  }

  std::size_t images() const { return static_cast<std::size_t>(graph().value(graph().inputs[0]).shape[0]); }

  // Whether the batch would leave the second-level cache between two steps, while an image's values are more than the
  // weights that it reads anew.
  bool worth_parting() const {
    constexpr std::size_t kCached = std::size_t{1} << 20;
    std::size_t constants = 0;
    for (const Value& value : graph().values) constants += value.constant() ? value.data->size() : 0;
    return arena_bytes() > kCached && activation_bytes() > images() * constants;
  }

  unsigned workers_;
  std::unique_ptr<const PooledPlan> one_;  // of one image, where a batch is run as its images
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Execution>> idle_;
};

std::vector<Port> ports_of(const Graph& graph, const std::vector<ValueId>& ids) {
  std::vector<Port> ports;
  for (const ValueId id : ids) ports.push_back({graph.value(id).name, graph.value(id).dtype, graph.value(id).shape});
  return ports;
}

bool all_static(const Graph& graph) {
  return std::all_of(graph.values.begin(), graph.values.end(), [](const Value& v) { return v.static_shape(); });
}

void expect_fits(const Port& port, const Dims& given) {
  bool fits = port.shape.size() == given.size() && is_static(given);
  for (std::size_t i = 0; fits && i < given.size(); ++i) fits = port.shape[i] < 0 || port.shape[i] == given[i];
  if (!fits) {
    fail(Status::invalid_input, "input '", port.name, "': expected the shape ", to_string(port.shape), ", got ",
         to_string(given));
  }
}

const char* kernels_from_environment() { return std::getenv("QUAVER_KERNEL"); }

Blob mapped(const std::string& path) {
  auto file = std::make_shared<const MappedFile>(path);
  const std::byte* data = file->data();
  const std::size_t size = file->size();
  return Blob(std::move(file), data, size);
}

}  // namespace

struct Model::State {
  Graph graph;
  std::vector<Port> inputs, outputs;
  IsaSet isa;
  unsigned threads = 1;
  LoadOptions options;
  std::once_flag pool_made;
  std::unique_ptr<ThreadPool> pool;
  std::shared_ptr<PackCache> cache;

  struct Entry {
    std::vector<Dims> shapes;
    std::shared_ptr<const PooledPlan> plan;
  };
  std::mutex making;       // held while a plan is made, so that runs of other shapes go on meanwhile
  std::mutex mutex;        // of `plans`
  std::list<Entry> plans;  // most recently used first

  std::shared_ptr<const PooledPlan> find(std::span<const Dims> shapes) {
    const std::lock_guard lock(mutex);
    const auto found = std::find_if(plans.begin(), plans.end(), [&](const Entry& entry) {
      return std::equal(entry.shapes.begin(), entry.shapes.end(), shapes.begin(), shapes.end());
    });
    if (found == plans.end()) return nullptr;
    plans.splice(plans.begin(), plans, found);
    return plans.front().plan;
  }

  // Made on first use: its threads get the priority of a thread that runs, not of the one that loads.
  ThreadPool* threads_pool() {
    std::call_once(pool_made, [&] {
      if (threads > 1) pool = std::make_unique<ThreadPool>(threads);
    });
    return pool.get();
  }

  // With the kernels that the user prefers, `kernels` or else the environment's.
  std::shared_ptr<const PooledPlan> make_plan(std::span<const Dims> shapes, const char* kernels) const {
    const kernels::Preferred preferred(kernels);
    Graph special = graph;
    bool same = all_static(graph);
    for (std::size_t i = 0; i < shapes.size(); ++i) same = same && graph.value(graph.inputs[i]).shape == shapes[i];
    if (!same) specialize(special, {shapes.begin(), shapes.end()}, make_evaluator());
    std::optional<Graph> one = one_of_batch(special, make_evaluator());
    return std::make_shared<const PooledPlan>(std::move(special), std::move(one), isa, cache, options.float_precision,
                                              threads);
  }
};

Model::Model() : state_(std::make_unique<State>()) {}
Model::~Model() = default;

std::shared_ptr<Model> Model::from_loaded(Graph graph, const LoadOptions& options, std::shared_ptr<PackCache> cache) {
  std::shared_ptr<Model> model(new Model);
  State& state = *model->state_;
  state.options = options;
  state.cache = std::move(cache);
  state.isa = usable_isa(options.isa);
  if (const char* kernels = kernels_from_environment()) expect_kernels(kernels, state.isa, "QUAVER_KERNEL=");
  state.threads = options.threads ? options.threads : available_threads();
  state.graph = std::move(graph);
  state.inputs = ports_of(state.graph, state.graph.inputs);
  state.outputs = ports_of(state.graph, state.graph.outputs);
  const auto is_fixed = [](const Port& port) { return is_static(port.shape); };
  // What cannot run is said at load, not at the first request.
  if (std::all_of(state.inputs.begin(), state.inputs.end(), is_fixed)) model->plan();
  return model;
}

std::shared_ptr<Model> Model::from_graph(Graph graph, const LoadOptions& options) {
  run_pipeline(graph, make_evaluator());
  return from_loaded(std::move(graph), options, std::make_shared<PackCache>());
}

std::shared_ptr<Model> Model::from_file(Blob bytes, const std::string& where, const LoadOptions& options) {
  auto cache = std::make_shared<PackCache>();
  Graph graph = read_model(std::move(bytes), where, *cache);
  return from_loaded(std::move(graph), options, std::move(cache));
}

std::shared_ptr<Model> Model::open(const std::string& path, const LoadOptions& options) {
  return from_file(mapped(path), path, options);
}

std::shared_ptr<Model> Model::open(Blob bytes, const LoadOptions& options) {
  return from_file(std::move(bytes), "model in memory", options);
}

std::shared_ptr<Model> Model::updated(Blob delta, const std::string& where) const {
  Graph graph = apply_delta(state_->graph, std::move(delta), where);
  auto cache = std::make_shared<PackCache>(*state_->cache, constants_used_alike(state_->graph, graph));
  return from_loaded(std::move(graph), state_->options, std::move(cache));
}

std::shared_ptr<Model> Model::updated(const std::string& path) const { return updated(mapped(path), path); }

std::shared_ptr<Model> Model::updated(Blob delta) const { return updated(std::move(delta), "delta in memory"); }

std::uint64_t Model::identity() const { return quaver::identity(state_->graph); }

std::vector<std::byte> Model::serialize(bool packed) const {
  state_->cache->check_sources();
  if (!packed) return write_model(state_->graph);
  const std::lock_guard lock(state_->mutex);
  if (state_->plans.empty()) {
    fail(Status::invalid_input,
         "no weights are packed yet, since the model leaves its inputs' shapes open: run it once, then save it");
  }
  return write_model(state_->graph, *state_->cache);
}

void Model::save(const std::string& path, bool packed) const {
  const std::vector<std::byte> bytes = serialize(packed);
  const std::string temporary = text(path, ".", ::getpid(), ".tmp");
  const auto fail_on = [&](const char* what) {
    const int reason = errno;
    std::remove(temporary.c_str());
    fail(Status::io, "cannot ", what, " '", path, "': ", std::strerror(reason));
  };
  std::FILE* file = std::fopen(temporary.c_str(), "wb");
  if (!file) fail_on("write");
  const bool written = std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size() && std::fflush(file) == 0 &&
                       ::fsync(::fileno(file)) == 0;
  if (std::fclose(file) != 0 || !written) fail_on("write");
  if (std::rename(temporary.c_str(), path.c_str()) != 0) fail_on("replace");
}

const Graph& Model::graph() const { return state_->graph; }
const std::vector<Port>& Model::inputs() const { return state_->inputs; }
const std::vector<Port>& Model::outputs() const { return state_->outputs; }
IsaSet Model::isa() const { return state_->isa; }
unsigned Model::threads() const { return state_->threads; }
FloatPrecision Model::float_precision() const { return state_->options.float_precision; }

std::size_t Model::memory() const {
  std::size_t bytes = 0;
  for (const Value& value : state_->graph.values) bytes += value.constant() ? value.data->size() : 0;
  state_->cache->each([&](PackCache::Source, const std::string&, const Blob& block) { bytes += block.size(); });
  const std::lock_guard lock(state_->mutex);
  for (const State::Entry& entry : state_->plans) bytes += entry.plan->memory();
  return bytes;
}

std::shared_ptr<const Plan> Model::plan(std::span<const Dims> shapes) {
  State& state = *state_;
  if (auto plan = state.find(shapes)) return plan;
  if (shapes.size() != state.inputs.size()) {
    fail(Status::invalid_input, "expected ", state.inputs.size(), " inputs, got ", shapes.size());
  }
  for (std::size_t i = 0; i < shapes.size(); ++i) expect_fits(state.inputs[i], shapes[i]);
  const std::lock_guard making(state.making);
  if (auto plan = state.find(shapes)) return plan;
  auto plan = state.make_plan(shapes, kernels_from_environment());
  std::list<State::Entry> old;  // ends without the lock
  const std::lock_guard lock(state.mutex);
  state.plans.push_front({{shapes.begin(), shapes.end()}, plan});
  if (state.plans.size() > kMaxPlans) old.splice(old.begin(), state.plans, std::prev(state.plans.end()));
  return plan;
}

std::shared_ptr<const Plan> Model::plan() {
  std::vector<Dims> shapes;
  for (const Port& port : state_->inputs) {
    if (!is_static(port.shape)) {
      fail(Status::invalid_input, "input '", port.name, "' has the dynamic shape ", to_string(port.shape),
           "; give concrete input shapes");
    }
    shapes.push_back(port.shape);
  }
  return plan(shapes);
}

std::shared_ptr<const Plan> Model::plan_with(std::span<const Dims> shapes, const std::string& kernels) {
  expect_kernels(kernels, state_->isa, "");
  return state_->make_plan(shapes, kernels.c_str());
}

void Model::run(const Plan& plan, std::span<const void* const> inputs, std::span<void* const> outputs) {
  run(plan, inputs, outputs, state_->threads_pool());
}

void Model::run_alone(const Plan& plan, std::span<const void* const> inputs, std::span<void* const> outputs) {
  run(plan, inputs, outputs, nullptr);
}

void Model::run(const Plan& plan, std::span<const void* const> inputs, std::span<void* const> outputs,
                ThreadPool* pool) {
  const Caller caller;
  static_cast<const PooledPlan&>(plan).run_pooled(inputs, outputs, pool);
}

}  // namespace quaver
