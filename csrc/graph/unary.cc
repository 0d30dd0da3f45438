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
    case Op::Erf: return true;
    default: return false;
  }
}

double eval_unary(Op op, const Attrs& attrs, double x) {
  switch (op) {
    case Op::Clip: return clamp(x, attrs.f("lo", -kInf), attrs.f("hi", kInf));
    case Op::Sigmoid: return 1 / (1 + std::exp(-x));
    case Op::HardSigmoid: return hard_sigmoid(x, attrs.f("alpha", 0.2), attrs.f("beta", 0.5));
    case Op::HardSwish: return hard_swish(x);
    case Op::LeakyRelu: return x < 0 ? x * attrs.f("alpha", 0.01) : x;
    case Op::Tanh: return std::tanh(x);
    case Op::Exp: return std::exp(x);
    case Op::Sqrt: return std::sqrt(x);
    case Op::Abs: return std::abs(x);
    case Op::Neg: return -x;
    case Op::Erf: return std::erf(x);
    default: fail(Status::internal, name_of(op), " is no function of one number");
  }
}

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
