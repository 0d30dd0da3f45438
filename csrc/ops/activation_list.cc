#include "ops/activation_list.h"

#include <limits>
#include <optional>
#include <sstream>

#include "graph/unary.h"

namespace quaver {
namespace {

using kernels::UnaryF32Op;

std::optional<UnaryF32Op> kernel_of(const std::string& name) {
  if (name == "Sigmoid") return UnaryF32Op::sigmoid;
  if (name == "Tanh" || name == "ScaledTanh") return UnaryF32Op::tanh;
  if (name == "Relu") return UnaryF32Op::clip;
  if (name == "HardSigmoid") return UnaryF32Op::hard_sigmoid;
  if (name == "LeakyRelu") return UnaryF32Op::leaky_relu;
  return std::nullopt;
}

}  // namespace

Activation::Activation(const LowerContext& context, const std::string& name, double alpha, double beta)
    : kernel_(kernels::pick_unary_f32(context.isa)),
      alpha_(static_cast<float>(alpha)),
      beta_(static_cast<float>(beta)) {
  if (const auto op = kernel_of(name)) {
    kind_ = name == "ScaledTanh" ? Kind::scaled_tanh : Kind::kernel;
    args_.op = *op;
    args_.p = name == "Relu" ? 0.0F : alpha_;
    args_.q = name == "Relu" ? std::numeric_limits<float>::infinity() : beta_;
  } else if (name == "Affine") {
    kind_ = Kind::affine;
  } else if (name == "ThresholdedRelu" || name == "Elu" || name == "Softsign" || name == "Softplus") {
    kind_ = Kind::function;
    Attrs attrs;
    if (name == "ThresholdedRelu" || name == "Elu") attrs.set("alpha", alpha);
    function_ = unary_function(*op_from_name(name), attrs);
  } else {
    context.fail("there is no activation '", name, "'");
  }
}

void Activation::run(float* x, std::size_t n) const {
  if (kind_ == Kind::affine) {
    for (std::size_t i = 0; i < n; ++i) x[i] = alpha_ * x[i] + beta_;
    return;
  }
  if (kind_ == Kind::function) {
    for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<float>(function_(x[i]));
    return;
  }
  if (kind_ == Kind::scaled_tanh) {
    for (std::size_t i = 0; i < n; ++i) x[i] *= beta_;
  }
  kernels::UnaryF32Args args = args_;
  args.n = n;
  args.x = args.y = x;
  kernel_.run(args);
  if (kind_ == Kind::scaled_tanh) {
    for (std::size_t i = 0; i < n; ++i) x[i] *= alpha_;
  }
}

std::vector<Activation> activations_of(const LowerContext& context, std::size_t count) {
  const Attrs& attrs = context.node.attrs;
  const std::vector<double> alphas = attrs.floats("alphas"), betas = attrs.floats("betas");
  std::vector<Activation> list;
  std::istringstream names(attrs.s("activations"));
  for (std::string name; std::getline(names, name, ',');) {
    const std::size_t i = list.size();
    if (i >= alphas.size() || i >= betas.size()) context.fail("its activations lack parameters");
    list.emplace_back(context, name, alphas[i], betas[i]);
  }
  if (list.size() != count) context.fail(list.size(), " activations, expected ", count);
  return list;
}

}  // namespace quaver
