// A step whose output elements are computed each from the input element at the same place.
#pragma once

#include <algorithm>

#include "ops/row_step.h"

namespace quaver {

class ElementStep : public RowStep {
 protected:
  // `bytes` are all that is read and written.
  void split_elements(std::size_t elements, std::size_t bytes) {
    elements_ = elements;
    split((elements + kGrain - 1) / kGrain, bytes);
  }

  // The elements [begin, end), begin < end.
  virtual void run_elements(const RunContext& context, std::size_t begin, std::size_t end) const = 0;

 private:
  static constexpr std::size_t kGrain = 1024;  // a share begins on whole vectors of any width

  void run_rows(const RunContext& context, std::size_t first, std::size_t last) const final {
    const std::size_t begin = first * kGrain, end = std::min(last * kGrain, elements_);
    if (begin < end) run_elements(context, begin, end);
  }

  std::size_t elements_ = 0;
};

inline std::size_t elements_of(const Value& value) { return static_cast<std::size_t>(count(value.shape)); }

}  // namespace quaver
