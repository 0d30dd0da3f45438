#include "kernels/prefer.h"

namespace quaver::kernels {
namespace {

thread_local const char* preferred = nullptr;

// Where `list` goes on after the item `name` at its head, or null where its head is another.
const char* after(const char* list, const char* name) {
  while (*name && *list == *name) ++list, ++name;
  return !*name && (!*list || *list == ',') ? list : nullptr;
}

}  // namespace

Preferred::Preferred(const char* names) noexcept : before_(preferred) { preferred = names; }
Preferred::~Preferred() { preferred = before_; }

bool is_preferred(const char* name) noexcept {
  for (const char* at = preferred; at && *at; ++at) {
    if (after(at, name)) return true;
    while (*at && *at != ',') ++at;
    if (!*at) return false;
  }
  return false;
}

}  // namespace quaver::kernels
