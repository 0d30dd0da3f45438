// Fork-join threads owned by one model. The caller is worker 0; workers spin for a moment after a job, then sleep.
// A pool that is busy with another caller's job is never waited for: that caller runs its job alone.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace quaver {

// Threads this process may use: the cgroup's CPU quota and the affinity mask, whichever is less; at least 1.
unsigned available_threads();

class ThreadPool {
 public:
  // work(context, first, last, worker): the units [first, last) of a job, on worker [0, size()). Must not throw.
  using Work = void (*)(void* context, std::size_t first, std::size_t last, unsigned worker);

  // `size` counts the caller, so 1 starts no thread. Throws Error(invalid_input) for 0 or more than 1024.
  explicit ThreadPool(unsigned size);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  unsigned size() const noexcept { return size_; }

  // Splits [0, units) into equal runs, one per worker, and returns when all are done.
  // Allocates nothing. Not to be called from within a job of this pool.
  void run(std::size_t units, Work work, void* context);

 private:
  void worker(unsigned index);
  void share(unsigned index) const;

  const unsigned size_;
  std::vector<std::thread> threads_;
  std::mutex owner_;  // held by the caller whose job runs
  std::mutex sleep_;
  std::condition_variable wake_;
  std::atomic<std::uint32_t> round_{0};  // a new value is a new job
  std::atomic<unsigned> pending_{0};
  std::atomic<bool> stop_{false};
  std::size_t units_ = 0;
  Work work_ = nullptr;
  void* context_ = nullptr;
};

}  // namespace quaver
