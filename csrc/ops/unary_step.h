// A function of each fp32 element of one value.
#pragma once

#include "kernels/elementwise/unary.h"
#include "ops/elements.h"

namespace quaver {

class UnaryF32Step final : public ElementStep {
 public:
  UnaryF32Step(const LowerContext& context, ValueId x, kernels::UnaryF32Op op, double p, double q)
      : x_(x), y_(context.out()) {
    function_.kernel = &kernels::pick_unary_f32(context.isa);
    function_.args.op = op;
    function_.args.p = static_cast<float>(p);
    function_.args.q = static_cast<float>(q);
    names(*function_.kernel);
    split_elements(elements_of(context.output()), 2 * bytes_of(context.output()));
  }

  const RealFunction* function() const override { return &function_; }

 private:
  void run_elements(const RunContext& context, std::size_t begin, std::size_t end) const override {
    kernels::UnaryF32Args args = function_.args;
    args.n = end - begin;
    args.x = context.as<const float>(x_) + begin;
    args.y = context.as<float>(y_) + begin;
    function_.kernel->run(args);
  }

  RealFunction function_;
  ValueId x_, y_;
};

}  // namespace quaver
