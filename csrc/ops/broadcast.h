// NumPy broadcasting of two dense operands, brought to few dimensions: neighbours along which each operand goes on as
// before are merged. Along the last one, the run, an operand steps by one element or stands still.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "base/dims.h"

namespace quaver {

class Broadcast {
 public:
  // `a` and `b` broadcast to `out`, all static.
  Broadcast(const Dims& a, const Dims& b, const Dims& out);

  std::size_t a_step() const { return run_.a; }
  std::size_t b_step() const { return run_.b; }
  std::size_t elements() const { return elements_; }
  // The length of the row that operand repeats from end to end while the other goes straight on; 0 in any other case.
  // In [N, H, W, C] + [C] that is C for b.
  std::size_t repeated_a() const { return one_outer() && outer_[0].a == 0 ? run_.size : 0; }
  std::size_t repeated_b() const { return one_outer() && outer_[0].b == 0 ? run_.size : 0; }

  // Calls run(a, b, c, n) for each run within the output elements [begin, end): offsets of its first elements, in
  // elements, and its length.
  template <class Run>
  void each_run(std::size_t begin, std::size_t end, Run run) const {
    while (begin < end) {
      const std::size_t row = begin / run_.size, skip = begin % run_.size;
      const std::size_t n = std::min(run_.size - skip, end - begin);
      const Offsets at = offsets(row);
      run(at.a + skip * run_.a, at.b + skip * run_.b, begin, n);
      begin += n;
    }
  }

 private:
  struct Axis {
    std::size_t size, a, b;  // steps in elements
  };
  struct Offsets {
    std::size_t a, b;
  };
  Offsets offsets(std::size_t row) const {
    Offsets at{0, 0};
    for (std::size_t i = outer_.size(); i-- > 0;) {
      const std::size_t index = row % outer_[i].size;
      row /= outer_[i].size;
      at.a += index * outer_[i].a;
      at.b += index * outer_[i].b;
    }
    return at;
  }
  bool one_outer() const { return outer_.size() == 1 && run_.a == 1 && run_.b == 1; }

  std::vector<Axis> outer_;
  Axis run_{1, 1, 1};
  std::size_t elements_ = 1;
};

}  // namespace quaver
