#include "ops/broadcast.h"

namespace quaver {
namespace {

// Elements between neighbours along each of `rank` dimensions; 0 where `dims` has one element or none to offer.
std::vector<std::size_t> steps(const Dims& dims, std::size_t rank) {
  const Dims strides = strides_of(dims);
  std::vector<std::size_t> out(rank, 0);
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] != 1) out[rank - dims.size() + i] = static_cast<std::size_t>(strides[i]);
  }
  return out;
}

}  // namespace

Broadcast::Broadcast(const Dims& a, const Dims& b, const Dims& out) : elements_(static_cast<std::size_t>(count(out))) {
  const auto a_steps = steps(a, out.size()), b_steps = steps(b, out.size());
  std::vector<Axis> axes;  // innermost first
  for (std::size_t i = out.size(); i-- > 0;) {
    const Axis axis{static_cast<std::size_t>(out[i]), a_steps[i], b_steps[i]};
    if (axis.size == 1) continue;
    if (!axes.empty() && axis.a == axes.back().a * axes.back().size && axis.b == axes.back().b * axes.back().size) {
      axes.back().size *= axis.size;
    } else {
      axes.push_back(axis);
    }
  }
  if (axes.empty()) return;
  run_ = axes.front();
  outer_.assign(axes.rbegin(), axes.rend() - 1);
}

}  // namespace quaver
