#include "base/thread_pool.h"

#include <algorithm>
#include <atomic>
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

void note_worker(void* context, std::size_t, std::size_t, unsigned worker) {
  static_cast<std::atomic<unsigned>*>(context)->fetch_or(1U << worker);
}

// Which workers took part in a job of one unit each.
unsigned workers_of(ThreadPool& pool) {
  std::atomic<unsigned> seen{0};
  pool.run(pool.size(), &note_worker, &seen);
  return seen.load();
}

TEST(thread_pool_leaves_cores_to_other_callers) {
  ThreadPool pool(2);
  CHECK_EQ(workers_of(pool), 0b11U);
  {
    std::vector<Caller> others(std::max(2U, available_threads()));
    CHECK_EQ(workers_of(pool), 0b01U);
  }
  CHECK_EQ(workers_of(pool), 0b11U);
}

TEST(thread_pool_gives_a_lone_caller_all_it_asked_for) {
  ThreadPool pool(available_threads() + 2);
  const Caller caller;
  CHECK_EQ(workers_of(pool), (1U << pool.size()) - 1);
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
  CHECK_EQ(workers_of(pool), (1U << (all - 1)) - 1);
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
