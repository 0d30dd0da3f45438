// A choice of kernels from outside, for debugging and measurement (QUAVER_KERNEL, `quaver inspect --profile`).
#pragma once

namespace quaver::kernels {

// While one lives, this thread's pick_*() take a kernel named in `names` (separated by commas, outliving it) wherever
// the kernel fits and the given set can run it. Null prefers none.
class Preferred {
 public:
  explicit Preferred(const char* names) noexcept;
  ~Preferred();
  Preferred(const Preferred&) = delete;
  Preferred& operator=(const Preferred&) = delete;

 private:
  const char* before_;
};

bool is_preferred(const char* name) noexcept;

}  // namespace quaver::kernels
