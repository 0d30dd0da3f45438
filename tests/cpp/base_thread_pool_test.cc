#include "base/thread_pool.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <thread>
#include <vector>

#include "base/error.h"
#include "cpp/check.h"

namespace quaver {
namespace {

struct Counts {
  std::vector<std::atomic<int>> seen;
  explicit Counts(std::size_t n) : seen(n) {}
};

void count_units(void* context, std::size_t first, std::size_t last, unsigned) {
  for (std::size_t i = first; i < last; ++i) ++static_cast<Counts*>(context)->seen[i];
}

bool each_once(const Counts& counts, int times) {
  for (const auto& n : counts.seen) {
    if (n.load() != times) return false;
  }
  return true;
}

TEST(thread_pool_runs_every_unit_once) {
  for (unsigned size = 1; size <= 5; ++size) {
    ThreadPool pool(size);
    for (const std::size_t units : {0, 1, 2, 3, 7, 100}) {
      Counts counts(units);
      for (int round = 0; round < 50; ++round) pool.run(units, &count_units, &counts);
      CHECK(each_once(counts, 50));
    }
  }
}

TEST(thread_pool_wakes_sleeping_workers) {
  ThreadPool pool(3);
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    Counts counts(9);
    pool.run(9, &count_units, &counts);
    CHECK(each_once(counts, 1));
  }
}

TEST(thread_pool_takes_callers_at_once) {
  ThreadPool pool(2);
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      for (int round = 0; round < 500; ++round) {
        Counts counts(8);
        pool.run(8, &count_units, &counts);
        wrong += !each_once(counts, 1);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK_EQ(wrong.load(), 0);
}

struct Presence {
  int wanted;
  std::atomic<unsigned> seen{0};
};

// Stays until as many workers are there as are wanted, and a little longer for those that should not come.
void note_worker(void* context, std::size_t, std::size_t, unsigned worker) {
  using Clock = std::chrono::steady_clock;
  auto& presence = *static_cast<Presence*>(context);
  presence.seen.fetch_or(1U << worker);
  const auto start = Clock::now();
  const auto stay = [&] {
    const bool all = std::popcount(presence.seen.load()) >= presence.wanted;
    return Clock::now() - start < (all ? std::chrono::milliseconds(20) : std::chrono::milliseconds(10000));
  };
  while (stay()) std::this_thread::yield();
}

// Which workers take part in a job of a unit for each.
unsigned workers_of(ThreadPool& pool, int wanted) {
  Presence presence{wanted};
  pool.run(pool.size(), &note_worker, &presence);
  return presence.seen.load();
}

TEST(thread_pool_leaves_cores_to_other_callers) {
  ThreadPool pool(2);
  CHECK_EQ(workers_of(pool, 2), 0b11U);
  {
    std::vector<Caller> others(std::max(2U, available_threads()));
    CHECK_EQ(workers_of(pool, 1), 0b01U);
  }
  CHECK_EQ(workers_of(pool, 2), 0b11U);
}

struct Progress {
  std::atomic<std::size_t> done{0};
  std::size_t units = 0;
  bool helped = true;
};

// Worker 1 keeps its piece until all others are done; without help with the rest of its run they never are.
void hold_up_one(void* context, std::size_t first, std::size_t last, unsigned worker) {
  auto& progress = *static_cast<Progress*>(context);
  const auto start = std::chrono::steady_clock::now();
  const auto waits = [&] { return worker == 1 && progress.done.load() < progress.units - (last - first); };
  while (waits() && std::chrono::steady_clock::now() - start < std::chrono::seconds(5)) std::this_thread::yield();
  if (waits()) progress.helped = false;
  progress.done += last - first;
}

TEST(thread_pool_helps_a_slow_worker) {
  ThreadPool pool(2);
  Progress progress;
  progress.units = 800;
  pool.run(progress.units, &hold_up_one, &progress);
  CHECK_EQ(progress.done.load(), progress.units);
  CHECK(progress.helped);
}

std::atomic<bool> held_up, let_go;

void note_thread(void* context, std::size_t, std::size_t, unsigned worker) {
  if (worker == 1) static_cast<std::atomic<pthread_t>*>(context)->store(pthread_self());
}

// The worker's core is taken from it by a signal, whose handler does not return until the job is done.
TEST(thread_pool_does_not_wait_for_who_has_not_come) {
  ThreadPool pool(2);
  std::atomic<pthread_t> worker{};
  const auto soon = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (worker.load() == pthread_t{} && std::chrono::steady_clock::now() < soon) pool.run(2, &note_thread, &worker);
  CHECK(worker.load() != pthread_t{});
  signal(SIGUSR1, [](int) {
    held_up = true;
    while (!let_go) {
    }
  });
  pthread_kill(worker, SIGUSR1);
  while (!held_up) std::this_thread::yield();
  std::atomic<bool> done{false};
  std::thread caller([&] {
    Counts counts(100);
    for (int round = 0; round < 50; ++round) pool.run(100, &count_units, &counts);
    done = each_once(counts, 50);
  });
  while (!done && std::chrono::steady_clock::now() < soon) std::this_thread::yield();
  CHECK(done.load());
  let_go = true;
  caller.join();
}

TEST(thread_pool_gives_a_lone_caller_all_it_asked_for) {
  ThreadPool pool(available_threads() + 2);
  const Caller caller;
  CHECK_EQ(workers_of(pool, static_cast<int>(pool.size())), (1U << pool.size()) - 1);
}

TEST(thread_pool_takes_part_of_its_workers) {
  const unsigned all = available_threads() + 2;
  ThreadPool pool(all);
  const std::vector<Caller> callers(2);
  for (int round = 0; round < 200; ++round) {
    Counts counts(50);
    pool.run(50, &count_units, &counts);
    CHECK(each_once(counts, 1));
  }
  CHECK_EQ(workers_of(pool, static_cast<int>(all) - 1), (1U << (all - 1)) - 1);
}

TEST(thread_pools_share_the_budget_at_once) {
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([&] {
      ThreadPool pool(3);
      for (int round = 0; round < 500; ++round) {
        const Caller caller;
        Counts counts(8);
        pool.run(8, &count_units, &counts);
        wrong += !each_once(counts, 1);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK_EQ(wrong.load(), 0);
}

TEST(thread_pool_refuses_sizes) {
  CHECK_THROWS(ThreadPool(0), Error, "from 1 to 1024");
  CHECK_THROWS(ThreadPool(5000), Error, "5000");
  CHECK(available_threads() >= 1);
}

}  // namespace
}  // namespace quaver
