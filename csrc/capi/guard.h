// Where C++ ends: no exception crosses the C API; each becomes a status and this thread's last error.
#pragma once

#include <exception>
#include <new>
#include <string>

#include "base/error.h"
#include "quaver.h"

namespace quaver::capi {

const char* last_error() noexcept;
quaver_status failed(Status status, const char* why) noexcept;

template <class Body>
quaver_status guarded(Body&& body) noexcept {
  try {
    body();
    return QUAVER_OK;
  } catch (const Error& error) {
    return failed(error.status(), error.what());
  } catch (const std::bad_alloc&) {
    return failed(Status::out_of_memory, "out of memory");
  } catch (const std::exception& error) {
    return failed(Status::internal, error.what());
  } catch (...) {
    return failed(Status::internal, "an unknown exception");
  }
}

// Throws Error(invalid_input) where a pointer that a call needs is null.
inline void expect_not_null(const void* pointer, const char* name) {
  if (!pointer) fail(Status::invalid_input, name, " is NULL");
}

}  // namespace quaver::capi
