// A loaded model: the portable graph, and plans for the input shapes it has met.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"
#include "plan/plan.h"

namespace quaver {

struct Port {
  std::string name;
  DType dtype;
  Dims shape;  // kDynamic where the model leaves it open
};

struct LoadOptions {
  unsigned threads = 0;  // 0: available_threads()
  std::optional<std::string> isa;
  FloatPrecision float_precision = FloatPrecision::fp32;
};

class Model {
 public:
  // From an imported graph: runs the pass pipeline, then as below.
  static std::shared_ptr<Model> from_graph(Graph graph, const LoadOptions& options);
  // From a compiled file, mapped; or from its bytes.
  static std::shared_ptr<Model> open(const std::string& path, const LoadOptions& options);
  static std::shared_ptr<Model> open(Blob bytes, const LoadOptions& options);
  // What a delta (model/file.h) makes of this model, with the same options. It shares the unchanged constants with this
  // one, and what is made of them; this one stays as it is.
  std::shared_ptr<Model> updated(const std::string& path) const;
  std::shared_ptr<Model> updated(Blob delta) const;
  ~Model();

  // As a compiled file; with `packed`, also the packed weights of the plans made so far, which then load without being
  // packed or read again on machines that take the same layouts. Throws Error(corrupt_file) where the constants of the
  // file that the model came from are damaged, Error(invalid_input) where no plan is made yet.
  void save(const std::string& path, bool packed = false) const;  // atomically: a temporary file, then a rename
  std::vector<std::byte> serialize(bool packed = false) const;
  std::uint64_t identity() const;  // as of model/file.h

  const Graph& graph() const;
  const std::vector<Port>& inputs() const;
  const std::vector<Port>& outputs() const;
  IsaSet isa() const;
  unsigned threads() const;
  // Bytes: the constants, also where other models share them, what was packed of them, and the arenas of idle runs.
  std::size_t memory() const;
  FloatPrecision float_precision() const;

  // The plan for these input shapes: made on first use, kept with the few most recently used.
  // Throws Error(invalid_input) naming input, expected and given shape where they don't fit the model.
  std::shared_ptr<const Plan> plan(std::span<const Dims> input_shapes);
  // The plan where every input shape is static (dynamic ones throw Error(invalid_input)).
  std::shared_ptr<const Plan> plan();

  // A plan of its own that prefers these kernels (names, separated by commas), to measure them. Throws as
  // expect_kernels().
  std::shared_ptr<const Plan> plan_with(std::span<const Dims> input_shapes, const std::string& kernels);

  // Runs a plan of this model on a pooled Execution. Safe from many threads at once; allocates nothing once warm.
  void run(const Plan& plan, std::span<const void* const> inputs, std::span<void* const> outputs);
  // As run, on the calling thread alone, whatever threads() says: the same bits, and other threads left in peace.
  void run_alone(const Plan& plan, std::span<const void* const> inputs, std::span<void* const> outputs);

 private:
  Model();
  static std::shared_ptr<Model> from_loaded(Graph graph, const LoadOptions& options, std::shared_ptr<PackCache> cache);
  static std::shared_ptr<Model> from_file(Blob bytes, const std::string& where, const LoadOptions& options);
  std::shared_ptr<Model> updated(Blob delta, const std::string& where) const;
  void run(const Plan& plan, std::span<const void* const> inputs, std::span<void* const> outputs, ThreadPool* pool);
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace quaver
