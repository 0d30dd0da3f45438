// The activation functions that a recurrent operator names: "Sigmoid,Tanh,Tanh", with their parameters beside.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "kernels/elementwise/unary.h"
#include "ops/op.h"

namespace quaver {

class Activation {
 public:
  Activation(const LowerContext& context, const std::string& name, double alpha, double beta);
  // x[i] = f(x[i])
  void run(float* x, std::size_t n) const;

 private:
  enum class Kind { kernel, affine, scaled_tanh, function };
  Kind kind_ = Kind::kernel;
  const kernels::UnaryF32Kernel& kernel_;
  kernels::UnaryF32Args args_;
  float alpha_, beta_;
  std::function<double(double)> function_;  // of graph/unary.h
};

// The node's attributes activations, alphas and betas. Fails where there are not `count` of each.
std::vector<Activation> activations_of(const LowerContext& context, std::size_t count);

}  // namespace quaver
