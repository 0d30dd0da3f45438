// The seam between operators and the plan. Lowering turns a node, once all shapes are known, into a Step: kernel
// chosen, weights packed, constants computed. A Step is immutable and shared by all concurrent runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/aligned.h"
#include "base/error.h"
#include "base/float_precision.h"
#include "graph/graph.h"
#include "isa/isa.h"
#include "kernels/elementwise/unary.h"
#include "ops/byte_rounding.h"

namespace quaver {

// One run's memory: where each value lives now, and this worker's scratch.
struct RunContext {
  std::byte* const* values;  // by ValueId; constants included, null for kNone-like unused
  std::byte* scratch;        // Step::scratch bytes, aligned to 64, this worker's alone
  unsigned worker;

  template <class T>
  T* as(ValueId id) const {
    return reinterpret_cast<T*>(values[id]);
  }
};

// What `quaver inspect` shows of a step.
struct StepInfo {
  std::string kernel;  // "gemm_u8_avx2_3x16", "copy", …
  Isa isa = Isa::scalar;
  std::int64_t macs = 0;  // multiply-accumulates
};

// y = f(x) on floats, as a kernel has it: all but its operands.
struct RealFunction {
  const kernels::UnaryF32Kernel* kernel = nullptr;
  kernels::UnaryF32Args args;
};

class Step {
 public:
  virtual ~Step() = default;
  // Work units [first, last) of `units`; any split over workers gives the same bits. Must not throw or allocate.
  virtual void run(const RunContext& context, std::size_t first, std::size_t last) const = 0;

  // Whether the step can look its u8 result up in a table of 256 bytes, and write `out` instead. Where the first call
  // succeeds further ones do; then the step writes all those outputs, and no longer its own.
  virtual bool absorb_table(std::span<const std::uint8_t> table, IsaSet isa, ValueId out);
  // Whether the step can read `x` through a table where it reads `looked_up` now.
  virtual bool absorb_lookup(std::span<const std::uint8_t> table, ValueId x, ValueId looked_up);

  // The function that the step applies to each float, where it does nothing else.
  virtual const RealFunction* function() const;
  // Whether the step can apply a function to its results, all of them floats, and write `out` instead.
  virtual bool absorb_function(const RealFunction& function, ValueId out);

  // How the step brings floats to bytes, where it does nothing else and the scales are known.
  virtual const ByteRounding* rounding() const;
  // Whether the step can so bring its results, all of them floats, to bytes, and write `out` instead.
  virtual bool absorb_rounding(const ByteRounding& rounding, ValueId out);

  // The input whose place in memory the output may take, of as many bytes: no unit reads of it what another one writes,
  // and each has read what it replaces. kNone: there is none.
  virtual ValueId overwrites() const;

  std::size_t units = 1;    // 1: never split over threads
  std::size_t scratch = 0;  // bytes each worker needs while it runs a share of this step
  StepInfo info;
};

// Packed weights and other derived constants, shared by the plans of one model (its other input shapes).
class PackCache;

// A node while it is lowered.
class LowerContext {
 public:
  LowerContext(const Graph& graph, const Node& node, IsaSet isa, PackCache& cache,
               FloatPrecision precision = FloatPrecision::fp32)
      : graph(graph), node(node), isa(isa), cache(cache), precision(precision) {}

  const Graph& graph;
  const Node& node;
  IsaSet isa;
  PackCache& cache;
  FloatPrecision precision;

  bool bf16() const { return precision == FloatPrecision::bf16; }
  bool has_input(std::size_t i) const { return i < node.inputs.size() && node.inputs[i] != kNone; }
  ValueId in(std::size_t i) const;  // throws Error(invalid_model) where absent
  ValueId out(std::size_t i = 0) const { return node.outputs[i]; }
  const Value& input(std::size_t i) const { return graph.value(in(i)); }
  const Value& output(std::size_t i = 0) const { return graph.value(out(i)); }
  // The value's per-tensor scale and zero point. Throws Error(unsupported) where it has none.
  float scale(const Value& value) const;
  std::int32_t zero_point(const Value& value) const;
  // A constant's elements; throws Error(unsupported) where the value is computed at run time.
  template <class T>
  std::span<const T> constant(std::size_t i) const {
    const Value& value = input(i);
    expect_constant(value);
    return value.data->as<T>();
  }
  // "Conv 'features/3' cannot run: …"
  template <class... Parts>
  [[noreturn]] void fail(Parts&&... parts) const {
    fail_with(text(std::forward<Parts>(parts)...));
  }

 private:
  void expect_constant(const Value& value) const;
  [[noreturn]] void fail_with(const std::string& what) const;
};

using LowerFn = std::unique_ptr<Step> (*)(LowerContext&);
LowerFn lowering_of(Op op);  // ops/registry.cc

#define QUAVER_OP(name) std::unique_ptr<Step> lower_##name(LowerContext&);
#include "graph/ops.def"
#undef QUAVER_OP

}  // namespace quaver
