#include "base/thread_pool.h"

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

TEST(thread_pool_refuses_sizes) {
  CHECK_THROWS(ThreadPool(0), Error, "from 1 to 1024");
  CHECK_THROWS(ThreadPool(5000), Error, "5000");
  CHECK(available_threads() >= 1);
}

}  // namespace
}  // namespace quaver
