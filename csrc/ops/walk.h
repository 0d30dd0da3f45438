// K operands walked together over the elements of one shape, a row (the last dimension that is left) at a time.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "base/dims.h"

namespace quaver {

// Strides in elements with which a dense tensor of shape `from` is walked over `to`, to which it broadcasts.
inline Dims broadcast_strides(const Dims& from, const Dims& to) {
  const Dims dense = strides_of(from);
  Dims strides(to.size(), 0);
  const std::size_t lead = to.size() - from.size();
  for (std::size_t i = 0; i < from.size(); ++i) strides[lead + i] = from[i] == 1 ? 0 : dense[i];
  return strides;
}

template <std::size_t K>
class Walk {
 public:
  using Offsets = std::array<std::int64_t, K>;

  // Strides of any sign, one for each dimension and operand. Dimensions along which all operands go on are merged.
  Walk(const Dims& dims, const std::array<Dims, K>& strides) {
    std::vector<Axis> axes;
    bool empty = false;
    for (std::size_t i = 0; i < dims.size(); ++i) {
      empty |= dims[i] == 0;
      if (dims[i] == 1) continue;
      Axis axis{dims[i], {}};
      for (std::size_t k = 0; k < K; ++k) axis.step[k] = strides[k][i];
      if (!axes.empty() && follows(axes.back(), axis)) {
        axes.back() = {axes.back().size * axis.size, axis.step};
      } else {
        axes.push_back(axis);
      }
    }
    if (axes.empty()) axes.push_back({1, {}});
    row_ = axes.back();
    axes.pop_back();
    outer_ = std::move(axes);
    for (const Axis& axis : outer_) rows_ *= static_cast<std::size_t>(axis.size);
    if (empty) rows_ = 0;
  }

  std::size_t rows() const { return rows_; }
  std::size_t row_elements() const { return static_cast<std::size_t>(row_.size); }
  const Offsets& steps() const { return row_.step; }

  // row(offsets of its first elements) for the rows [first, last).
  template <class Row>
  void each_row(std::size_t first, std::size_t last, Row row) const {
    for (std::size_t i = first; i < last; ++i) {
      Offsets at{};
      std::size_t rest = i;
      for (std::size_t a = outer_.size(); a-- > 0;) {
        const auto size = static_cast<std::size_t>(outer_[a].size);
        for (std::size_t k = 0; k < K; ++k) at[k] += static_cast<std::int64_t>(rest % size) * outer_[a].step[k];
        rest /= size;
      }
      row(at);
    }
  }

 private:
  struct Axis {
    std::int64_t size;
    Offsets step;
  };
  static bool follows(const Axis& outer, const Axis& inner) {
    for (std::size_t k = 0; k < K; ++k) {
      if (outer.step[k] != inner.step[k] * inner.size) return false;
    }
    return true;
  }

  std::vector<Axis> outer_;
  Axis row_{1, {}};
  std::size_t rows_ = 1;
};

}  // namespace quaver
