// Operators on lanes: the elements along one axis, or several, are gathered as wide ones, worked on, and scattered to
// lanes of the outputs. For what is too rare for a kernel.
#pragma once

#include <functional>

#include "ops/row_step.h"
#include "ops/wide.h"

namespace quaver {

// Where the lanes of a dense tensor lie: each begins at one of `bases` and has its elements at `taps` from there.
struct Lanes {
  std::vector<std::int64_t> bases, taps;
  std::int64_t step = 0;  // from each tap to the next, where that is always the same; else 0

  Lanes(const Dims& dims, const std::vector<bool>& along);
  static Lanes axis(const Dims& dims, std::size_t axis);
};

template <class W>
class LaneStep final : public RowStep {
 public:
  // y[i] is the lane of output i.
  using Function = std::function<void(const W* x, std::size_t n, W* const* y)>;

  LaneStep(const LowerContext& context, Lanes x, std::vector<Lanes> y, Function function)
      : function_(std::move(function)),
        x_lanes_(std::move(x)),
        y_lanes_(std::move(y)),
        x_(context.in(0)),
        x_size_(size_of(context.input(0).dtype)),
        read_(reader_of<W>(context.input(0).dtype)) {
    std::size_t lane = x_lanes_.taps.size();
    for (std::size_t i = 0; i < y_lanes_.size(); ++i) {
      const Value& value = context.output(i);
      outputs_.push_back({context.out(i), size_of(value.dtype), writer_of<W>(value.dtype)});
      lane += y_lanes_[i].taps.size();
    }
    scratch = lane * sizeof(W);
    info.kernel = "lanes";
    split(x_lanes_.bases.size(), 8 * bytes_of(context.input(0)));
  }

 private:
  struct Output {
    ValueId id;
    std::size_t size;
    WriteWide<W> write;
  };
  static constexpr std::size_t kMaxOutputs = 4;

  void run_rows(const RunContext& context, std::size_t first, std::size_t last) const override {
    W* x = reinterpret_cast<W*>(context.scratch);
    W* y[kMaxOutputs];
    W* next = x + x_lanes_.taps.size();
    for (std::size_t i = 0; i < outputs_.size(); ++i) {
      y[i] = next;
      next += y_lanes_[i].taps.size();
    }
    for (std::size_t lane = first; lane < last; ++lane) {
      each_run(x_lanes_, lane, [&](std::size_t at, std::size_t j, std::size_t n) {
        read_(context.as<const std::byte>(x_) + at * x_size_, x_lanes_.step, n, x + j);
      });
      function_(x, x_lanes_.taps.size(), y);
      for (std::size_t i = 0; i < outputs_.size(); ++i) {
        each_run(y_lanes_[i], lane, [&](std::size_t at, std::size_t j, std::size_t n) {
          std::byte* to = context.as<std::byte>(outputs_[i].id) + at * outputs_[i].size;
          outputs_[i].write(y[i] + j, y_lanes_[i].step, n, to);
        });
      }
    }
  }

  // run(where it begins, which of the lane's elements is the first, how many) for parts of a lane of equal steps.
  template <class Run>
  static void each_run(const Lanes& lanes, std::size_t lane, Run run) {
    const std::size_t n = lanes.taps.size(), length = lanes.step ? n : 1;
    for (std::size_t j = 0; j < n; j += length) {
      run(static_cast<std::size_t>(lanes.bases[lane] + lanes.taps[j]), j, length);
    }
  }

  Function function_;
  Lanes x_lanes_;
  std::vector<Lanes> y_lanes_;
  std::vector<Output> outputs_;
  ValueId x_;
  std::size_t x_size_;
  ReadWide<W> read_;
};

// The node's attribute `axis`, of its first input.
std::size_t axis_of(const LowerContext& context, std::int64_t otherwise);

// One output, of the input's shape, made lane by lane of the axis: f(x, n, y).
template <class W, class F>
std::unique_ptr<Step> along_axis(const LowerContext& context, std::size_t axis, F f) {
  const Lanes lanes = Lanes::axis(context.input(0).shape, axis);
  return std::make_unique<LaneStep<W>>(context, lanes, std::vector<Lanes>{lanes},
                                       [f](const W* x, std::size_t n, W* const* y) { f(x, n, y[0]); });
}

// ReduceMin, ReduceProd, ReduceL1 and their like, and those with kernels where no kernel takes the types at hand.
std::unique_ptr<Step> lower_wide_reduce(LowerContext& context);

}  // namespace quaver
