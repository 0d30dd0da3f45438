// Read-only bytes with a shared owner: a heap block, a NumPy array, or a piece of a mapped file.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

namespace quaver {

class Blob {
 public:
  Blob() = default;
  Blob(std::shared_ptr<const void> owner, const void* data, std::size_t size)
      : owner_(std::move(owner)), data_(static_cast<const std::byte*>(data)), size_(size) {}

  // A copy of the bytes, aligned to 64.
  static Blob copy(const void* data, std::size_t size);
  template <class T>
  static Blob of(std::span<const T> items) {
    return copy(items.data(), items.size_bytes());
  }

  const std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  template <class T>
  std::span<const T> as() const noexcept {
    return {reinterpret_cast<const T*>(data_), size_ / sizeof(T)};
  }

 private:
  std::shared_ptr<const void> owner_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace quaver
