// The checks that make a file safe to read, whatever its bytes are.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "quaver_generated.h"

namespace quaver {

// Header, FlatBuffers, then meaning: after it, every index, offset, size and kind in the root can be used unchecked.
// What the graph means (shapes against sizes, arity, run order) is left to the graph's verify(). `bytes` begin at a
// multiple of 64. Throws as read_model().
const fb::Model& verify_file(std::span<const std::byte> bytes, const std::string& where);
// Every segment against its hash; names the tensors that are damaged. For a verified file.
void verify_contents(std::span<const std::byte> bytes, const fb::Model& root, const std::string& where);

}  // namespace quaver
