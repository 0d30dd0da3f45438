// quaver_bench_slot: what it costs to take a version of a shared value and to give it back. A line for each way and
// number of threads, all measured in turn, on stdout: "WAY THREADS NANOSECONDS", the median of many rounds.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <iostream>
#include <iterator>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <vector>

#include "base/hot_swap.h"
#include "native/clock.h"

namespace quaver::bench {
namespace {

constexpr int kRounds = 41;
constexpr long kUses = 200'000;  // a thread, in a round

using Value = std::atomic<int>;

// Keeps the compiler from leaving the use out.
void use(const Value& value) { value.load(std::memory_order_relaxed); }

struct Shared {
  std::shared_ptr<Value> value = std::make_shared<Value>(1);
  std::mutex mutex;
  std::shared_mutex shared_mutex;
  std::atomic<std::shared_ptr<Value>> atomic{value};
  HotSwap<Value> slot{value};
  std::atomic<std::uint64_t> counter{0};
};

// A mutex can't be held for the length of a run, so a copy of the pointer leaves it; the shared mutex can.
void take_slot(Shared& s) { use(*s.slot.pin()); }
void take_mutex(Shared& s) {
  std::unique_lock lock(s.mutex);
  const std::shared_ptr<Value> mine = s.value;
  lock.unlock();
  use(*mine);
}
void take_shared_mutex(Shared& s) {
  const std::shared_lock lock(s.shared_mutex);
  use(*s.value);
}
void take_atomic(Shared& s) { use(*s.atomic.load()); }
// No way to take anything: what two atomic additions cost here, and less no counted way can.
void take_additions(Shared& s) {
  s.counter.fetch_add(1, std::memory_order_acquire);
  use(*s.value);
  s.counter.fetch_sub(1, std::memory_order_release);
}

// Seconds that each of `threads` takes for one use, all at it together.
template <void (*take)(Shared&)>
double seconds_each(Shared& shared, int threads) {
  std::atomic<int> ready{0};
  std::vector<double> seconds(threads);
  std::vector<std::thread> team;
  for (int t = 0; t < threads; ++t) {
    team.emplace_back([&, t] {
      ++ready;
      while (ready < threads) {
      }
      const double start = now();
      for (long i = 0; i < kUses; ++i) take(shared);
      seconds[t] = (now() - start) / kUses;
    });
  }
  for (std::thread& thread : team) thread.join();
  return *std::max_element(seconds.begin(), seconds.end());
}

double median(std::vector<double>& numbers) {
  std::nth_element(numbers.begin(), numbers.begin() + numbers.size() / 2, numbers.end());
  return numbers[numbers.size() / 2];
}

struct Way {
  const char* name;
  double (*seconds)(Shared&, int threads);
};

const Way kWays[] = {
    {"slot", &seconds_each<take_slot>},
    {"additions", &seconds_each<take_additions>},
    {"mutex", &seconds_each<take_mutex>},
    {"shared_mutex", &seconds_each<take_shared_mutex>},
    {"atomic_shared_ptr", &seconds_each<take_atomic>},
};

}  // namespace
}  // namespace quaver::bench

int main() {
  using namespace quaver::bench;
  Shared shared;
  for (const int threads : {1, 2}) {
    std::vector<double> seconds[std::size(kWays)];
    for (int round = 0; round < kRounds; ++round) {
      for (std::size_t i = 0; i < std::size(kWays); ++i) seconds[i].push_back(kWays[i].seconds(shared, threads));
    }
    for (std::size_t i = 0; i < std::size(kWays); ++i) {
      std::cout << kWays[i].name << " " << threads << " " << median(seconds[i]) * 1e9 << "\n";
    }
  }
}
