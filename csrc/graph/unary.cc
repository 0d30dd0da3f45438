#include "graph/unary.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace quaver {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

// NaN passes through, as in the float kernels.
double clamp(double x, double lo, double hi) {
  x = x < lo ? lo : x;
  return x > hi ? hi : x;
}

double hard_sigmoid(double x, double alpha, double beta) { return clamp(alpha * x + beta, 0, 1); }

double hard_swish(double x) {
  const double gate = hard_sigmoid(x, 1.0 / 6, 0.5);
  return gate == 0 ? 0 : x * gate;  // not −inf · 0
}

}  // namespace

namespace {

using Function = std::function<double(double)>;

double round_to_even(double x) { return std::nearbyint(x); }
double softplus(double x) { return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x)); }
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double sign(double x) { return std::isnan(x) ? x : (x > 0) - (x < 0); }
double gelu(double x) { return 0.5 * x * std::erfc(-x * 0.70710678118654752440); }
double gelu_tanh(double x) { return 0.5 * x * (1 + std::tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x))); }

// Those with attributes.
Function parametrized(Op op, const Attrs& attrs) {
  const double alpha = attrs.f("alpha", op == Op::HardSigmoid ? 0.2 : op == Op::LeakyRelu ? 0.01 : 1.0);
  switch (op) {
    case Op::Clip: return [lo = attrs.f("lo", -kInf), hi = attrs.f("hi", kInf)](double x) { return clamp(x, lo, hi); };
    case Op::HardSigmoid:
      return [alpha, beta = attrs.f("beta", 0.5)](double x) { return hard_sigmoid(x, alpha, beta); };
    case Op::LeakyRelu: return [alpha](double x) { return x < 0 ? x * alpha : x; };
    case Op::Elu: return [alpha](double x) { return x < 0 ? alpha * std::expm1(x) : x; };
    case Op::Celu: return [alpha](double x) { return x < 0 ? alpha * std::expm1(x / alpha) : x; };
    case Op::Selu:
      return [alpha = attrs.f("alpha", 1.67326319217681884765625), gamma = attrs.f("gamma", 1.05070102214813232421875)](
                 double x) { return gamma * (x > 0 ? x : alpha * std::expm1(x)); };
    case Op::ThresholdedRelu: return [alpha](double x) { return x > alpha ? x : 0; };
    case Op::Swish: return [alpha](double x) { return x * sigmoid(alpha * x); };
    case Op::Shrink:
      return [bias = attrs.f("bias", 0), lambd = attrs.f("lambd", 0.5)](double x) {
        return x < -lambd ? x + bias : x > lambd ? x - bias : 0;
      };
    case Op::Gelu: return attrs.s("approximate", "none") == "tanh" ? gelu_tanh : gelu;
    default: fail(Status::internal, name_of(op), " is no function of one number");
  }
}

}  // namespace

bool is_unary(Op op) noexcept {
  switch (op) {
    case Op::Clip:
    case Op::Sigmoid:
    case Op::HardSigmoid:
    case Op::HardSwish:
    case Op::LeakyRelu:
    case Op::Tanh:
    case Op::Exp:
    case Op::Sqrt:
    case Op::Abs:
    case Op::Neg:
    case Op::Erf:
    case Op::Sin:
    case Op::Cos:
    case Op::Tan:
    case Op::Asin:
    case Op::Acos:
    case Op::Atan:
    case Op::Sinh:
    case Op::Cosh:
    case Op::Asinh:
    case Op::Acosh:
    case Op::Atanh:
    case Op::Ceil:
    case Op::Floor:
    case Op::Round:
    case Op::Sign:
    case Op::Reciprocal:
    case Op::Log:
    case Op::Softplus:
    case Op::Softsign:
    case Op::Elu:
    case Op::Selu:
    case Op::Celu:
    case Op::ThresholdedRelu:
    case Op::Shrink:
    case Op::Gelu:
    case Op::Mish:
    case Op::Swish: return true;
    default: return false;
  }
}

Function unary_function(Op op, const Attrs& attrs) {
  switch (op) {
    case Op::Sigmoid: return sigmoid;
    case Op::HardSwish: return hard_swish;
    case Op::Tanh: return [](double x) { return std::tanh(x); };
    case Op::Exp: return [](double x) { return std::exp(x); };
    case Op::Sqrt: return [](double x) { return std::sqrt(x); };
    case Op::Abs: return [](double x) { return std::abs(x); };
    case Op::Neg: return [](double x) { return -x; };
    case Op::Erf: return [](double x) { return std::erf(x); };
    case Op::Sin: return [](double x) { return std::sin(x); };
    case Op::Cos: return [](double x) { return std::cos(x); };
    case Op::Tan: return [](double x) { return std::tan(x); };
    case Op::Asin: return [](double x) { return std::asin(x); };
    case Op::Acos: return [](double x) { return std::acos(x); };
    case Op::Atan: return [](double x) { return std::atan(x); };
    case Op::Sinh: return [](double x) { return std::sinh(x); };
    case Op::Cosh: return [](double x) { return std::cosh(x); };
    case Op::Asinh: return [](double x) { return std::asinh(x); };
    case Op::Acosh: return [](double x) { return std::acosh(x); };
    case Op::Atanh: return [](double x) { return std::atanh(x); };
    case Op::Ceil: return [](double x) { return std::ceil(x); };
    case Op::Floor: return [](double x) { return std::floor(x); };
    case Op::Log: return [](double x) { return std::log(x); };
    case Op::Round: return round_to_even;
    case Op::Sign: return sign;
    case Op::Reciprocal: return [](double x) { return 1 / x; };
    case Op::Softplus: return softplus;
    case Op::Softsign: return [](double x) { return x / (1 + std::abs(x)); };
    case Op::Mish: return [](double x) { return x * std::tanh(softplus(x)); };
    default: return parametrized(op, attrs);
  }
}

double eval_unary(Op op, const Attrs& attrs, double x) { return unary_function(op, attrs)(x); }

UnaryTable unary_table(const std::function<double(double)>& fn, const Quant& in, const Quant& out) {
  if (!in.per_tensor() || !out.per_tensor()) {
    fail(Status::invalid_model, "a table needs one scale and one zero point on either side, not one per channel");
  }
  const double zero = out.zero_point[0];
  UnaryTable table;
  for (int q = 0; q < 256; ++q) {
    const double y = fn(double{in.scale[0]} * (q - in.zero_point[0])) / out.scale[0];
    const double step = std::isnan(y) ? 0 : std::nearbyint(std::clamp(y, -zero, 255 - zero));
    table[q] = static_cast<std::uint8_t>(step + zero);
  }
  return table;
}

}  // namespace quaver
