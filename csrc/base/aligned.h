// An owned block of bytes aligned to a cache line: arenas, scratch, packed weights.
#pragma once

#include <cstddef>
#include <new>
#include <utility>

namespace quaver {

inline constexpr std::size_t kAlignment = 64;

constexpr std::size_t align_up(std::size_t n, std::size_t to = kAlignment) { return (n + to - 1) / to * to; }

class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  // Uninitialized. Throws std::bad_alloc.
  explicit AlignedBuffer(std::size_t size)
      : data_(static_cast<std::byte*>(::operator new(size ? size : 1, std::align_val_t{kAlignment}))), size_(size) {}
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~AlignedBuffer() { ::operator delete(data_, std::align_val_t{kAlignment}); }

  std::byte* data() noexcept { return data_; }
  const std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  template <class T>
  T* as() noexcept {
    return reinterpret_cast<T*>(data_);
  }
  template <class T>
  const T* as() const noexcept {
    return reinterpret_cast<const T*>(data_);
  }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace quaver
