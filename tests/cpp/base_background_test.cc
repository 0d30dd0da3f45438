#include "base/background.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

#include "base/error.h"
#include "cpp/check.h"

using namespace quaver;

namespace {

id_t self() { return static_cast<id_t>(::syscall(SYS_gettid)); }
int priority() { return ::getpriority(PRIO_PROCESS, self()); }

}  // namespace

TEST(background_work_is_of_low_priority_and_waited_for) {
  const int before = priority();
  int within = before;
  in_background([&] { within = priority(); });
  CHECK(within > before || within == 19);
  CHECK_EQ(priority(), before);
}

TEST(background_work_of_what_is_of_low_priority_is_of_lower_priority) {
  int within = 0;
  std::thread([&] {
    ::setpriority(PRIO_PROCESS, self(), 15);
    in_background([&] { within = priority(); });
  }).join();
  CHECK_EQ(within, 19);
}

TEST(background_errors_come_back) {
  CHECK_THROWS(in_background([] { fail(Status::io, "no such luck"); }), Error, "no such luck");
}
