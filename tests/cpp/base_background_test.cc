#include "base/background.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "cpp/check.h"

using namespace quaver;

namespace {

int priority() { return ::getpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid))); }

}  // namespace

TEST(background_work_is_of_low_priority_and_waited_for) {
  const int before = priority();
  int within = before;
  in_background([&] { within = priority(); });
  CHECK(within > before || within == 19);
  CHECK_EQ(priority(), before);
}

TEST(background_errors_come_back) {
  CHECK_THROWS(in_background([] { fail(Status::io, "no such luck"); }), Error, "no such luck");
}
