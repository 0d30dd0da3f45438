// The lock-free heart of a hot swap: which of a few slots is current, and when one that no longer is may be emptied.
//
// One 64-bit word {slot:6, count:58} says which slot is current and how many pins it has given since it became so.
// A reader's fetch_add takes a pin and learns whose in one step, so no slot can end between the two. A pin is given
// back to the slot's own balance, away from the word. A swap exchanges the word and hands the harvested count to the
// balance of the slot that ended: pins given minus pins given back is then 0 exactly when nobody holds one.
//
// Readers are wait-free: one atomic addition each way. Writers are kept apart by their caller. 58 bits outlast any
// process: pins of 5 ns each, one after the other without a swap, would take 45 years to run over. The protocol is
// proved in tests/spin/slot.pml.
#pragma once

#include <atomic>
#include <cstdint>

namespace quaver {

class SlotWord {
 public:
  static constexpr unsigned kSlots = 64;

  // Slot 0 is current.
  SlotWord() noexcept { balances_[0].value.store(kCurrent, std::memory_order_relaxed); }

  // Pins the current slot and gives it.
  unsigned acquire() noexcept { return slot_of(word_.fetch_add(1, std::memory_order_acquire)); }

  // Gives back a pin. True for the one caller that ended the last pin of a slot that is no longer current.
  bool release(unsigned slot) noexcept { return balances_[slot].value.fetch_sub(1, std::memory_order_acq_rel) == 1; }

  // Makes `next` current: an empty slot, or one that the caller holds a pin of; never the current one. True where the
  // slot that ended has no pins: its end is the caller's to see to, else it is that of its last release().
  // One writer at a time.
  bool swap(unsigned next) noexcept {
    balances_[next].value.fetch_add(kCurrent, std::memory_order_relaxed);
    const std::uint64_t ended = word_.exchange(word_of(next), std::memory_order_acq_rel);
    const std::int64_t handed = count_of(ended) - kCurrent;
    return balances_[slot_of(ended)].value.fetch_add(handed, std::memory_order_acq_rel) == -handed;
  }

  // The current slot, as far as a writer knows.
  unsigned current() const noexcept { return slot_of(word_.load(std::memory_order_acquire)); }

 private:
  static constexpr unsigned kCountBits = 58;
  // Lies on the balance of the current slot, so that it can't come to 0 before its swap.
  static constexpr std::int64_t kCurrent = std::int64_t{1} << 62;

  static constexpr std::uint64_t word_of(unsigned slot) noexcept { return std::uint64_t{slot} << kCountBits; }
  static constexpr unsigned slot_of(std::uint64_t word) noexcept { return static_cast<unsigned>(word >> kCountBits); }
  static constexpr std::int64_t count_of(std::uint64_t word) noexcept {
    return static_cast<std::int64_t>(word & ((std::uint64_t{1} << kCountBits) - 1));
  }

  // On cache lines of their own: pins of one version don't disturb those of another.
  struct alignas(64) Balance {
    std::atomic<std::int64_t> value{0};
  };

  alignas(64) std::atomic<std::uint64_t> word_{0};
  Balance balances_[kSlots];
};

}  // namespace quaver
