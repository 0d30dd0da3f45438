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

// What the word of a job says. Joining adds one to it, and what it was tells which job that was, if any.
struct Job {
  std::uint32_t number;
  std::uint16_t workers;  // who may join; 0 once it is closed
  std::uint16_t joined;

  explicit Job(std::uint64_t word)
      : number(static_cast<std::uint32_t>(word >> 32)),
        workers(static_cast<std::uint16_t>(word >> 16)),
        joined(static_cast<std::uint16_t>(word)) {}
  static std::uint64_t word(std::uint32_t number, unsigned workers) {
    return std::uint64_t{number} << 32 | std::uint64_t{workers} << 16;
  }
};

template <class Done>
bool spin_until(Done done) {
  for (int i = 0; i < kSpins; ++i) {
    if (done()) return true;
    pause();
  }
  return false;
}

// What a file with two numbers says, "quota period"; 0 where it sets no limit or is not there.
double granted(const std::string& quota_file, const std::string& period_file) {
  std::string quota;
  double period = 0;
  std::ifstream file(quota_file);
  file >> quota;
  if (period_file.empty()) {
    file >> period;
  } else {
    std::ifstream(period_file) >> period;
  }
  const double parts = std::atof(quota.c_str());  // "max" and "-1" are none
  return parts > 0 && period > 0 ? parts / period : 0;
}

// The path of this process below the mount of a hierarchy: v2's, or that of v1's controller "cpu".
std::string own_cgroup(bool v2) {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    if (v2 ? controllers == ",," : controllers.find(",cpu,") != std::string::npos) return line.substr(second + 1);
  }
  return "/";
}

// CPUs that the cgroups from this process' own up to the root grant, or 0 where none sets a limit.
unsigned cgroup_cpus() {
  double least = 0;
  const auto consider = [&](double cpus) {
    if (cpus > 0) least = least > 0 ? std::min(least, cpus) : cpus;
  };
  for (const bool v2 : {true, false}) {
    const std::string root = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu";
    std::string path = own_cgroup(v2);
    while (true) {
      const std::string here = root + (path == "/" ? "" : path);
      consider(v2 ? granted(here + "/cpu.max", "") : granted(here + "/cpu.cfs_quota_us", here + "/cpu.cfs_period_us"));
      if (path.empty() || path == "/") break;
      path.resize(path.rfind('/'));
    }
  }
  return least > 0 ? std::max(1U, static_cast<unsigned>(std::ceil(least))) : 0;
}

// Threads at work in this process: callers, and workers of all pools that take part in a job.
std::atomic<unsigned> callers{0}, workers_at_work{0};

unsigned budget() {
  static const unsigned threads = available_threads();
  return threads;
}

// Takes up to `wanted` workers out of the budget, or what `asked` threads of a lone model are, where that is more.
unsigned take_workers(unsigned wanted, unsigned asked) {
  const unsigned all = std::max(budget(), asked);
  unsigned taken = workers_at_work.load(std::memory_order_relaxed), extra = 0;
  do {
    const unsigned busy = std::max(callers.load(std::memory_order_relaxed), 1U) + taken;
    extra = busy < all ? std::min(wanted, all - busy) : 0;
  } while (extra && !workers_at_work.compare_exchange_weak(taken, taken + extra, std::memory_order_relaxed));
  return extra;
}

}  // namespace

unsigned available_threads() {
  unsigned cpus = std::max(1U, std::thread::hardware_concurrency());
  cpu_set_t mask;
  if (::sched_getaffinity(0, sizeof(mask), &mask) == 0) cpus = std::max(1, CPU_COUNT(&mask));
  const unsigned granted = cgroup_cpus();
  return granted ? std::min(cpus, granted) : cpus;
}

ThreadPool::ThreadPool(unsigned size) : size_(size), runs_(std::min(size, 1024U)) {
  if (size < 1 || size > 1024) fail(Status::invalid_input, "threads must be from 1 to 1024, got ", size);
  budget();  // asks the system now, so that no run has to
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

Caller::Caller() noexcept { callers.fetch_add(1, std::memory_order_relaxed); }
Caller::~Caller() { callers.fetch_sub(1, std::memory_order_relaxed); }

void ThreadPool::give_out(std::size_t units, unsigned workers) {
  constexpr std::size_t kPieces = 4;  // of a run: fewer leave a slow worker's rest undone, more cost their taking
  piece_ = std::max<std::size_t>(units / workers / kPieces, 1);
  for (unsigned i = 0; i < workers; ++i) {
    runs_[i].next.store(units * i / workers, std::memory_order_relaxed);
    runs_[i].end = units * (i + 1) / workers;
  }
}

void ThreadPool::share(unsigned index, unsigned workers) {
  for (unsigned i = 0; i < workers; ++i) {
    Run& run = runs_[(index + i) % workers];
    while (true) {
      const std::size_t first = run.next.fetch_add(piece_, std::memory_order_relaxed);
      if (first >= run.end) break;
      work_(context_, first, std::min(first + piece_, run.end), index);
    }
  }
}

void ThreadPool::run(std::size_t units, Work work, void* context) {
  if (units == 0) return;
  std::unique_lock owner(owner_, std::defer_lock);
  const auto wanted = static_cast<unsigned>(std::min<std::size_t>(size_, units) - 1);
  unsigned extra = 0;
  if (wanted == 0 || !owner.try_lock() || (extra = take_workers(wanted, size_)) == 0) {
    work(context, 0, units, 0);
    return;
  }
  give_out(units, extra + 1);
  work_ = work;
  context_ = context;
  left_.store(0, std::memory_order_relaxed);
  const std::uint32_t number = Job(job_.load(std::memory_order_relaxed)).number + 1;
  job_.store(Job::word(number, extra + 1));
  // A worker says that it sleeps before it looks at the job for the last time.
  if (asleep_.load() && asleep_.exchange(false)) wake();
  share(0, extra + 1);
  const unsigned joined = Job(job_.exchange(Job::word(number, 0))).joined;
  const auto done = [&] { return left_.load(std::memory_order_acquire) == joined; };
  while (!spin_until(done)) std::this_thread::yield();
  workers_at_work.fetch_sub(extra, std::memory_order_relaxed);
}

void ThreadPool::wake() {
  // The lock waits for a worker between its last look and its sleep.
  const std::lock_guard lock(sleep_);
  wake_.notify_all();
}

void ThreadPool::worker(unsigned index) {
  std::uint32_t seen = 0;
  const auto called = [&] {
    const Job job(job_.load());
    return (index < job.workers && job.number != seen) || stop_.load();
  };
  while (true) {
    if (!spin_until(called)) {
      std::unique_lock lock(sleep_);
      asleep_.store(true);
      if (!called()) wake_.wait(lock);
      continue;
    }
    if (stop_.load()) return;
    const Job job(job_.fetch_add(1));
    if (job.workers == 0) continue;
    seen = job.number;
    share(index, job.workers);
    left_.fetch_add(1, std::memory_order_release);
  }
}

}  // namespace quaver
