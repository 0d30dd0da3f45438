// The process's memory.
#pragma once

namespace quaver {

// Gives the system back what was freed. The C library keeps it else: in a process that exchanges models for months, all
// that its threads' heaps ever needed at once.
void return_free_memory() noexcept;

}  // namespace quaver
