#include "base/blob.h"

#include <cstring>

#include "base/aligned.h"

namespace quaver {

Blob Blob::copy(const void* data, std::size_t size) {
  auto buffer = std::make_shared<AlignedBuffer>(size);
  if (size) std::memcpy(buffer->data(), data, size);
  const std::byte* bytes = buffer->data();
  return Blob(std::move(buffer), bytes, size);
}

}  // namespace quaver
