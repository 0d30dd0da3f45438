#include "base/hot_swap.h"

#include <algorithm>
#include <bit>
#include <cerrno>

#include "base/error.h"
#include "base/memory.h"

namespace quaver {
namespace {

void expect_valid(const std::shared_ptr<void>& value, std::uint64_t number) {
  if (!value) fail(Status::invalid_input, "a version needs a value, got null");
  if (number == 0) fail(Status::invalid_input, "versions count from 1, got 0");
}

std::string listed(const std::vector<std::uint64_t>& numbers) {
  std::string out;
  for (const std::uint64_t number : numbers) out += (out.empty() ? "" : ", ") + std::to_string(number);
  return out;
}

}  // namespace

VersionTable::VersionTable(std::shared_ptr<void> first, std::uint64_t version, SlotLimits limits)
    : limits_(limits), highest_(version) {
  expect_valid(first, version);
  const unsigned least = limits.keep_previous ? 3 : 2;
  if (limits.max_live < least || limits.max_live > SlotWord::kSlots) {
    fail(Status::invalid_input, "max_live must be from ", least, " to ", SlotWord::kSlots,
         limits.keep_previous ? " (the current version, the kept one and the next)"
                              : " (the current version and the next)",
         ", got ", limits.max_live);
  }
  versions_[0] = {std::move(first), version};
  ::sem_init(&work_, 0, 0);
  reclaimer_ = std::thread([this] { reclaim(); });
}

VersionTable::~VersionTable() {
  stop();
  ::sem_destroy(&work_);
}

void VersionTable::stop() {
  const std::lock_guard lock(stopping_);
  if (!reclaimer_.joinable()) return;
  stop_.store(true);
  ::sem_post(&work_);
  reclaimer_.join();
}

unsigned VersionTable::free_slot() const { return static_cast<unsigned>(std::countr_one(used_)); }

std::vector<std::uint64_t> VersionTable::live_locked() const {
  std::vector<std::uint64_t> numbers;
  for (unsigned slot = 0; slot < limits_.max_live; ++slot) {
    if (used_ & bit(slot)) numbers.push_back(versions_[slot].number);
  }
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

std::vector<std::uint64_t> VersionTable::live() const {
  const std::lock_guard lock(writers_);
  return live_locked();
}

void VersionTable::expect_new(std::uint64_t number) const {
  const auto numbers = live_locked();
  if (std::binary_search(numbers.begin(), numbers.end(), number)) {
    fail(Status::invalid_input, "version ", number, " is live already; give another, or none for the next number");
  }
}

std::uint64_t VersionTable::swap(std::shared_ptr<void> next, const SwapOptions& options) {
  expect_valid(next, options.version.value_or(1));
  std::unique_lock lock(writers_);
  if (!freed_.wait_for(lock, options.timeout, [&] { return free_slot() < limits_.max_live; })) {
    fail(Status::busy, "no room for another version: after ", options.timeout.count(), " ms the versions ",
         listed(live_locked()), " are still in use; end their runs and pins, or allow more with max_live (now ",
         limits_.max_live, ")");
  }
  const std::uint64_t number = options.version.value_or(highest_ + 1);
  expect_new(number);
  const unsigned slot = free_slot();
  used_ |= bit(slot);
  highest_ = std::max(highest_, number);
  versions_[slot] = {std::move(next), number};
  become_current(slot);
  return number;
}

std::uint64_t VersionTable::rollback() {
  const std::lock_guard lock(writers_);
  if (previous_ == kNone) {
    fail(Status::invalid_input, "there is no version to roll back to: ",
         limits_.keep_previous ? "none was swapped out yet" : "this slot keeps none (keep_previous)");
  }
  const unsigned slot = previous_;
  become_current(slot);
  return versions_[slot].number;
}

void VersionTable::become_current(unsigned next) {
  // Kept by a pin like anyone's: the lock makes sure that it is of the version that ends here.
  const unsigned kept = limits_.keep_previous ? word_.acquire() : kNone;
  const unsigned ended = word_.current();
  if (word_.swap(next)) retire(ended);
  if (const unsigned older = std::exchange(previous_, kept); older != kNone) release(older);
}

void VersionTable::retire(unsigned slot) noexcept {
  retired_.fetch_or(bit(slot), std::memory_order_release);
  ::sem_post(&work_);
}

void VersionTable::reclaim() {
  while (true) {
    while (::sem_wait(&work_) != 0 && errno == EINTR) {
    }
    const bool last = stop_.load();
    for (std::uint64_t ended = retired_.exchange(0, std::memory_order_acquire); ended; ended &= ended - 1) {
      empty(static_cast<unsigned>(std::countr_zero(ended)));
    }
    if (last) return;
    return_free_memory();
  }
}

void VersionTable::empty(unsigned slot) {
  versions_[slot].value.reset();  // outside the lock: it may take long
  {
    const std::lock_guard lock(writers_);
    used_ &= ~bit(slot);
  }
  freed_.notify_all();
}

}  // namespace quaver
