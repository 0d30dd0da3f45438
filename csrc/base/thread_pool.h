// Fork-join threads owned by one model. The caller is worker 0; workers spin for a moment after a job, then sleep.
// A pool that is busy with another caller's job is never waited for: that caller runs its job alone. Nor is a worker
// that has not come by the time that all of a job is given out, as when another process has its core.
//
// All pools of a process share one budget, the threads it may use: a job takes as many workers as the callers and the
// workers of other pools leave of it. Several models that run at once so have a core each, not a core's worth of
// threads each; one that runs alone has all it asked for.
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

// While one lives, its thread counts as a caller at work. Every run of a model has one, with a pool or without.
class Caller {
 public:
  Caller() noexcept;
  ~Caller();
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;
};

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

  // Splits [0, units) into equal runs, one for each worker that the budget leaves, and returns when all are done. A
  // worker takes its run piece by piece, then helps with the others': two threads may share a physical core, or another
  // process may hold one up.
  // Allocates nothing. Not to be called from within a job of this pool.
  void run(std::size_t units, Work work, void* context);

 private:
  void worker(unsigned index);
  // A worker's run: how far it has been given out.
  struct alignas(64) Run {
    std::atomic<std::size_t> next{0};
    std::size_t end = 0;
  };

  void give_out(std::size_t units, unsigned workers);
  void share(unsigned index, unsigned workers);
  void wake();

  const unsigned size_;
  std::vector<std::thread> threads_;
  std::mutex owner_;  // held by the caller whose job runs
  std::mutex sleep_;
  std::condition_variable wake_;
  std::atomic<bool> asleep_{false};    // whether a worker may be, since the last call to wake()
  std::atomic<std::uint64_t> job_{0};  // its number, how many workers may join, and how many have (see Job)
  std::atomic<unsigned> left_{0};      // workers that joined and are done
  std::atomic<bool> stop_{false};
  std::vector<Run> runs_;
  std::size_t piece_ = 1;
  Work work_ = nullptr;
  void* context_ = nullptr;
};

}  // namespace quaver
