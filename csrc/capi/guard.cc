#include "capi/guard.h"

namespace quaver::capi {
namespace {

thread_local std::string reason;

}  // namespace

const char* last_error() noexcept { return reason.c_str(); }

quaver_status failed(Status status, const char* why) noexcept {
  try {
    reason = why;
  } catch (...) {
    reason.clear();
  }
  return static_cast<quaver_status>(status);
}

}  // namespace quaver::capi
