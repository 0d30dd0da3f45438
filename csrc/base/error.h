// Errors of the core: one exception type that carries a status code and a complete sentence.
// Kernels never throw; everything above them may. The C API and the bindings are the only catchers.
#pragma once

#include <stdexcept>
#include <string>

#include "base/text.h"

namespace quaver {

enum class Status : int {
  ok = 0,
  invalid_input = 1,  // a caller's tensor: name, dtype, shape, contiguity
  invalid_model = 2,  // a graph that breaks its operators' rules
  unsupported = 3,    // a valid model that asks for what is not here
  corrupt_file = 4,   // a file that is truncated, damaged or none of ours
  io = 5,             // the operating system said no
  isa = 6,            // an instruction set this CPU lacks, or an unknown name
  out_of_memory = 7,
  internal = 8,  // a broken invariant of ours
  busy = 9,      // no room until others end what they do
};

class Error : public std::runtime_error {
 public:
  Error(Status status, const std::string& what) : std::runtime_error(what), status_(status) {}
  Status status() const noexcept { return status_; }

 private:
  Status status_;
};

template <class... Parts>
[[noreturn]] void fail(Status status, const Parts&... parts) {
  throw Error(status, text(parts...));
}

}  // namespace quaver
