// Work that must not be felt by others.
#pragma once

#include <functional>

namespace quaver {

// Calls `work` on a thread of low priority and waits for it; what it throws is thrown here. A priority that was lowered
// cannot be raised again without a privilege, so the thread is one for this work alone.
void in_background(const std::function<void()>& work);

}  // namespace quaver
