// What the kernels' tests share: memory that faults past its end, random values, and which kernels can be run here.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include "isa/cpu.h"

namespace kernel_case {

// Values that end where an unmapped page begins, so that reading or writing one past the last faults.
template <class T>
class Guarded {
 public:
  explicit Guarded(std::size_t count) : count_(count) {
    const std::size_t page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t used = (count * sizeof(T) + page) / page * page;
    size_ = used + page;
    base_ = static_cast<char*>(mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base_ == MAP_FAILED || mprotect(base_ + used, page, PROT_NONE)) std::abort();
    data_ = reinterpret_cast<T*>(base_ + used - count * sizeof(T));
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  ~Guarded() { munmap(base_, size_); }

  T* data() const { return data_; }
  std::size_t size() const { return count_; }
  std::size_t bytes() const { return count_ * sizeof(T); }
  T& operator[](std::size_t i) const { return data_[i]; }
  T* begin() const { return data_; }
  T* end() const { return data_ + count_; }

 private:
  std::size_t count_, size_;
  char* base_;
  T* data_;
};

class Random {
 public:
  explicit Random(std::uint32_t seed) : engine_(seed) {}
  int integer(int lo, int hi) { return std::uniform_int_distribution<int>(lo, hi)(engine_); }
  float real(float lo, float hi) { return std::uniform_real_distribution<float>(lo, hi)(engine_); }
  bool coin() { return integer(0, 1); }
  template <class T>
  void fill(T& items, int lo, int hi) {
    for (auto& item : items) item = static_cast<std::decay_t<decltype(item)>>(integer(lo, hi));
  }

 private:
  std::mt19937 engine_;
};

// The seed of a run: QUAVER_TEST_SEED, else one that is always the same.
inline std::uint32_t seed() {
  const char* text = std::getenv("QUAVER_TEST_SEED");
  return text ? static_cast<std::uint32_t>(std::strtoul(text, nullptr, 10)) : 20240607U;
}

// An emulated build runs every kernel in it, whatever the CPU has.
inline bool runnable(quaver::Isa isa) {
#ifdef QUAVER_EMULATED
  return static_cast<void>(isa), true;
#else
  return quaver::detected_isa().has(isa);
#endif
}

// The kernels of a list that can be run here but for the first, the definition; says which are left out.
template <class List>
auto candidates(const List& list) {
  std::vector<std::decay_t<decltype(list.items[0])>> out;
  for (std::size_t i = 1; i < list.size; ++i) {
    if (runnable(list.items[i]->isa)) {
      out.push_back(list.items[i]);
    } else {
      std::cout << list.items[i]->name << ": not run, this CPU lacks " << quaver::name_of(list.items[i]->isa) << "\n";
    }
  }
  return out;
}

// Sizes around the edges of tiles of `edge`, and 1.
inline std::vector<std::size_t> around(std::size_t edge) {
  std::vector<std::size_t> out{1};
  for (const std::size_t size : {edge - 1, edge, edge + 1, 2 * edge + 1}) {
    if (size > 1) out.push_back(size);
  }
  return out;
}

}  // namespace kernel_case
