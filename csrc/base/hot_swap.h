// Versions of a value, one of them current, exchanged while others use them.
//
//   HotSwap<Model> slot(model);
//   { const auto pin = slot.pin(); pin->run(…); pin.version(); }   // in any thread: one version from first to last
//   slot.swap(newer);                                              // at any time; pins that are out stay valid
//
// pin() and its end are wait-free. A version that was swapped out is dropped once, by a thread of its own, after its
// last pin: no user of a pin ever pays for it. Not to be shared across fork().
#pragma once

#include <semaphore.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "base/slot_word.h"

namespace quaver {

struct SlotLimits {
  // Versions that may be in memory at once: the current one, the one before it where it is kept, older ones that are
  // still pinned, and the one that comes. At most 64.
  unsigned max_live = 4;
  // Keeps the version before the current one, for rollback().
  bool keep_previous = true;
};

struct SwapOptions {
  std::optional<std::uint64_t> version;  // else one more than the highest so far
  // How long to wait for older versions to end where max_live are there.
  std::chrono::milliseconds timeout{30'000};
};

// What of HotSwap does not depend on the value's type.
class VersionTable {
 public:
  VersionTable(std::shared_ptr<void> first, std::uint64_t version, SlotLimits limits);
  // No call may be under way, and no pin out.
  ~VersionTable();
  VersionTable(const VersionTable&) = delete;
  VersionTable& operator=(const VersionTable&) = delete;

  unsigned acquire() noexcept { return word_.acquire(); }
  void release(unsigned slot) noexcept {
    if (word_.release(slot)) retire(slot);
  }
  // Of a pinned slot.
  void* value(unsigned slot) const noexcept { return versions_[slot].value.get(); }
  std::uint64_t number(unsigned slot) const noexcept { return versions_[slot].number; }

  std::uint64_t swap(std::shared_ptr<void> next, const SwapOptions& options);
  std::uint64_t rollback();
  std::vector<std::uint64_t> live() const;
  void stop();

 private:
  struct Version {
    std::shared_ptr<void> value;
    std::uint64_t number = 0;
  };
  static constexpr unsigned kNone = SlotWord::kSlots;
  static constexpr std::uint64_t bit(unsigned slot) { return std::uint64_t{1} << slot; }

  void become_current(unsigned next);
  unsigned free_slot() const;
  std::vector<std::uint64_t> live_locked() const;
  void expect_new(std::uint64_t number) const;
  void retire(unsigned slot) noexcept;
  void reclaim();
  void empty(unsigned slot);

  SlotWord word_;
  std::array<Version, SlotWord::kSlots> versions_;
  const SlotLimits limits_;

  mutable std::mutex writers_;
  std::condition_variable freed_;
  std::uint64_t used_ = 1;     // slots that hold a version, one bit each
  std::uint64_t highest_ = 0;  // version so far
  unsigned previous_ = kNone;  // pinned

  // The way to the reclaimer: a bit is set for each slot that ended, then the semaphore raised. Both are wait-free.
  std::atomic<std::uint64_t> retired_{0};
  std::atomic<bool> stop_{false};
  std::mutex stopping_;
  sem_t work_;
  std::thread reclaimer_;
};

template <class T>
class HotSwap {
 public:
  // Use of the version that was current when it was made; it stays as it was until the pin ends.
  class Pin {
   public:
    Pin(Pin&& other) noexcept : table_(std::exchange(other.table_, nullptr)), slot_(other.slot_) {}
    Pin& operator=(Pin&&) = delete;
    ~Pin() {
      if (table_) table_->release(slot_);
    }
    T& operator*() const noexcept { return *static_cast<T*>(table_->value(slot_)); }
    T* operator->() const noexcept { return &**this; }
    std::uint64_t version() const noexcept { return table_->number(slot_); }

   private:
    friend class HotSwap;
    explicit Pin(VersionTable& table) noexcept : table_(&table), slot_(table.acquire()) {}
    VersionTable* table_;
    unsigned slot_;
  };

  // Throws Error(invalid_input) where `first` is null, the version is 0 or the limits leave no room for a swap.
  explicit HotSwap(std::shared_ptr<T> first, std::uint64_t version = 1, SlotLimits limits = {})
      : table_(std::move(first), version, limits) {}
  // The destructor asks that no call is under way and no pin is out.

  [[nodiscard]] Pin pin() noexcept { return Pin(table_); }
  // The current version: of an answer, ask its pin.
  std::uint64_t version() noexcept { return pin().version(); }

  // Makes `next` current and gives its version. Throws, and all stays as it was: Error(busy) where max_live versions
  // are still in use after the timeout; Error(invalid_input) where `next` is null, or the version is 0 or that of a
  // live one.
  std::uint64_t swap(std::shared_ptr<T> next, const SwapOptions& options = {}) {
    return table_.swap(std::move(next), options);
  }
  // Makes the version before the current one current again, at once, and gives its number; a second call comes back.
  // Throws Error(invalid_input) where none is kept.
  std::uint64_t rollback() { return table_.rollback(); }
  // The versions in memory, in ascending order.
  std::vector<std::uint64_t> live() const { return table_.live(); }

  // Ends the reclaimer after what it has to do; versions that end later are dropped with this object. For hosts that
  // must have no thread at work past some point. May be called again.
  void stop() { table_.stop(); }

 private:
  VersionTable table_;
};

}  // namespace quaver
