#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>

#include "base/error.h"

namespace quaver {
namespace {

// About 50 µs: longer than the gap between two steps of a run, shorter than a scheduler's tick.
constexpr int kSpins = 2000;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

template <class Done>
bool spin_until(Done done) {
  for (int i = 0; i < kSpins; ++i) {
    if (done()) return true;
    pause();
  }
  return false;
}

// CPUs the cgroup grants (v2 "quota period", v1 in two files), or 0 where it sets no limit.
unsigned cgroup_cpus() {
  double quota = 0, period = 0;
  std::string first;
  if (std::ifstream v2("/sys/fs/cgroup/cpu.max"); v2 >> first >> period) {
    if (first == "max") return 0;
    quota = std::atof(first.c_str());
  } else {
    std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_quota_us") >> quota;
    std::ifstream("/sys/fs/cgroup/cpu/cpu.cfs_period_us") >> period;
  }
  return quota > 0 && period > 0 ? std::max(1U, static_cast<unsigned>(std::ceil(quota / period))) : 0;
}

}  // namespace

unsigned available_threads() {
  unsigned cpus = std::max(1U, std::thread::hardware_concurrency());
  cpu_set_t mask;
  if (::sched_getaffinity(0, sizeof(mask), &mask) == 0) cpus = std::max(1, CPU_COUNT(&mask));
  const unsigned granted = cgroup_cpus();
  return granted ? std::min(cpus, granted) : cpus;
}

ThreadPool::ThreadPool(unsigned size) : size_(size) {
  if (size < 1 || size > 1024) fail(Status::invalid_input, "threads must be from 1 to 1024, got ", size);
  threads_.reserve(size - 1);
  for (unsigned i = 1; i < size; ++i) threads_.emplace_back([this, i] { worker(i); });
}

ThreadPool::~ThreadPool() {
  {
    const std::lock_guard lock(sleep_);
    stop_.store(true);
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::share(unsigned index) const {
  const std::size_t first = units_ * index / size_, last = units_ * (index + 1) / size_;
  if (first < last) work_(context_, first, last, index);
}

void ThreadPool::run(std::size_t units, Work work, void* context) {
  if (units == 0) return;
  std::unique_lock owner(owner_, std::defer_lock);
  if (size_ == 1 || units == 1 || !owner.try_lock()) {
    work(context, 0, units, 0);
    return;
  }
  units_ = units;
  work_ = work;
  context_ = context;
  pending_.store(size_ - 1, std::memory_order_relaxed);
  {
    // The lock orders the new round against a worker that is about to sleep.
    const std::lock_guard lock(sleep_);
    round_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_all();
  share(0);
  while (!spin_until([this] { return pending_.load(std::memory_order_acquire) == 0; })) std::this_thread::yield();
}

void ThreadPool::worker(unsigned index) {
  std::uint32_t seen = 0;
  const auto called = [&] { return round_.load(std::memory_order_acquire) != seen || stop_.load(); };
  while (true) {
    if (!spin_until(called)) {
      std::unique_lock lock(sleep_);
      wake_.wait(lock, called);
    }
    if (stop_.load()) return;
    seen = round_.load(std::memory_order_acquire);
    share(index);
    pending_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace quaver
