// A step whose output falls into equal rows that can be computed apart.
#pragma once

#include <algorithm>

#include "ops/op.h"

namespace quaver {

class RowStep : public Step {
 public:
  void run(const RunContext& context, std::size_t first, std::size_t last) const final {
    run_rows(context, rows_ * first / units, rows_ * last / units);
  }

 protected:
  // `bytes` are all that is read and written: a unit moves at least 16 KiB, as less costs more to hand out than to do.
  void split(std::size_t rows, std::size_t bytes) {
    rows_ = rows;
    units = std::max<std::size_t>(std::min(rows, bytes >> 14), 1);
  }

  template <class Kernel>
  void names(const Kernel& kernel) {
    info.kernel = kernel.name;
    info.isa = kernel.isa;
  }

  // The rows [first, last).
  virtual void run_rows(const RunContext& context, std::size_t first, std::size_t last) const = 0;

 private:
  std::size_t rows_ = 0;
};

// Bytes of a value of static shape.
inline std::size_t bytes_of(const Value& value) {
  return static_cast<std::size_t>(count(value.shape)) * size_of(value.dtype);
}

}  // namespace quaver
