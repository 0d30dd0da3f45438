#include "base/background.h"

#include <exception>
#include <thread>

#ifdef __linux__
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace quaver {
namespace {

constexpr int kNiceness = 10;  // more than the caller's

void lower_priority() {
#ifdef __linux__  // where a thread has a priority of its own
  const auto self = static_cast<id_t>(::syscall(SYS_gettid));
  ::setpriority(PRIO_PROCESS, self, ::getpriority(PRIO_PROCESS, self) + kNiceness);
#endif
}

}  // namespace

void in_background(const std::function<void()>& work) {
  std::exception_ptr error;
  std::thread thread([&] {
    lower_priority();
    try {
      work();
    } catch (...) {
      error = std::current_exception();
    }
  });
  thread.join();
  if (error) std::rethrow_exception(error);
}

}  // namespace quaver
