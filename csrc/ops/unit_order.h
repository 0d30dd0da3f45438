// In which order a product's units come: a thread has units that follow one another.
//
// Rows of its own it made itself in the step before, so they lie in its own cache, while all weights pass by it;
// weights of its own its cache keeps from one run to the next, while all rows pass by it. What there is more of is
// shared out.
#pragma once

#include <cstddef>
#include <utility>

namespace quaver {

struct UnitOrder {
  std::size_t bands = 0, strips = 0;  // of rows, and of columns
  bool by_rows = false;

  // For `rows` and `columns` of as many values each, where columns count once for each tap.
  UnitOrder(std::size_t bands, std::size_t strips, std::size_t rows, std::size_t columns)
      : bands(bands), strips(strips), by_rows(4 * rows >= columns) {}
  UnitOrder() = default;

  std::size_t units() const { return bands * strips; }
  // A unit's band and strip.
  std::pair<std::size_t, std::size_t> at(std::size_t unit) const {
    return by_rows ? std::pair(unit / strips, unit % strips) : std::pair(unit % bands, unit / bands);
  }
};

}  // namespace quaver
