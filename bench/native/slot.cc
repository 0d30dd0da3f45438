// quaver_bench_slot: what it costs to take a version of a shared value and to give it back. A line for each way and
// number of threads, all measured in turn, on stdout: "WAY THREADS PAIR TAKE GIVE" in nanoseconds, medians of many
// rounds. PAIR is of one lease after another; TAKE and GIVE of many that are taken before they are given back.
#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <iostream>
#include <iterator>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/hot_swap.h"
#include "native/clock.h"

namespace quaver::bench {
namespace {

constexpr int kRounds = 41;
constexpr long kUses = 200'000;  // a thread, in a round
constexpr long kHeld = 500;      // leases at a time, where they are taken before they are given back

using Value = std::atomic<int>;
constexpr int kMeasures = 3;
using Seconds = std::array<double, kMeasures>;  // pair, take, give

// Has the compiler find the value: what is done with it then is no part of the way.
void find(const void* value) { asm volatile("" : : "r"(value)); }

struct Shared {
  std::shared_ptr<Value> value = std::make_shared<Value>(1);
  std::mutex mutex;
  pthread_rwlock_t shared_mutex = PTHREAD_RWLOCK_INITIALIZER;  // std::shared_mutex allows a thread only one
  std::atomic<std::shared_ptr<Value>> atomic{value};
  VersionTable slot{value, 1, {}};
  std::atomic<std::uint64_t> counter{0};
};

// A way: take() gives what is to be kept until it is given back.

struct BySlot {
  using Lease = unsigned;
  static Lease take(Shared& s) {
    const unsigned slot = s.slot.acquire();
    find(s.slot.value(slot));
    return slot;
  }
  static void give(Shared& s, Lease slot) { s.slot.release(slot); }
};

// No way to take anything: what two atomic additions cost here, and less no counted way can.
struct ByAdditions {
  using Lease = std::monostate;
  static Lease take(Shared& s) {
    s.counter.fetch_add(1, std::memory_order_acquire);
    find(s.value.get());
    return {};
  }
  static void give(Shared& s, Lease) { s.counter.fetch_sub(1, std::memory_order_release); }
};

// A mutex can't be held for the length of a run, so a copy of the pointer leaves it; a shared one can.
struct ByMutex {
  using Lease = std::shared_ptr<Value>;
  static Lease take(Shared& s) {
    std::unique_lock lock(s.mutex);
    Lease mine = s.value;
    lock.unlock();
    find(mine.get());
    return mine;
  }
  static void give(Shared&, Lease mine) { mine.reset(); }
};

struct BySharedMutex {
  using Lease = std::monostate;
  static Lease take(Shared& s) {
    pthread_rwlock_rdlock(&s.shared_mutex);
    find(s.value.get());
    return {};
  }
  static void give(Shared& s, Lease) { pthread_rwlock_unlock(&s.shared_mutex); }
};

struct ByAtomic {
  using Lease = std::shared_ptr<Value>;
  static Lease take(Shared& s) {
    Lease mine = s.atomic.load();
    find(mine.get());
    return mine;
  }
  static void give(Shared&, Lease mine) { mine.reset(); }
};

template <class Way>
double pairs(Shared& shared) {
  const double start = now();
  for (long i = 0; i < kUses; ++i) Way::give(shared, Way::take(shared));
  return (now() - start) / kUses;
}

// Takes many before it gives them back; adds up the seconds of each. Leases that are all alike are not put away one by
// one: an atomic addition would wait for the store before it.
template <class Way>
void apart(Shared& shared, double& take, double& give) {
  constexpr bool kAlike = std::is_trivial_v<typename Way::Lease>;
  std::array<typename Way::Lease, kAlike ? 1 : kHeld> leases;
  for (long done = 0; done < kUses; done += kHeld) {
    const double start = now();
    for (long i = 0; i < kHeld; ++i) leases[kAlike ? 0 : i] = Way::take(shared);
    const double held = now();
    for (long i = 0; i < kHeld; ++i) Way::give(shared, std::move(leases[kAlike ? 0 : i]));
    take += (held - start) / kUses;
    give += (now() - held) / kUses;
  }
}

// What one use takes the slowest of so many threads, all at it together.
template <class Way>
Seconds measured(Shared& shared, int threads) {
  std::atomic<int> ready{0};
  std::vector<Seconds> seconds(threads, Seconds{});
  std::vector<std::thread> team;
  for (int t = 0; t < threads; ++t) {
    team.emplace_back([&, t] {
      ++ready;
      while (ready < threads) {
      }
      seconds[t][0] = pairs<Way>(shared);
      apart<Way>(shared, seconds[t][1], seconds[t][2]);
    });
  }
  for (std::thread& thread : team) thread.join();
  Seconds slowest{};
  for (const Seconds& of : seconds) {
    for (int i = 0; i < kMeasures; ++i) slowest[i] = std::max(slowest[i], of[i]);
  }
  return slowest;
}

double median(std::vector<double>& numbers) {
  std::nth_element(numbers.begin(), numbers.begin() + numbers.size() / 2, numbers.end());
  return numbers[numbers.size() / 2];
}

struct Row {
  const char* name;
  Seconds (*measured)(Shared&, int threads);
};

const Row kWays[] = {
    {"slot", &measured<BySlot>},
    {"additions", &measured<ByAdditions>},
    {"mutex", &measured<ByMutex>},
    {"shared_mutex", &measured<BySharedMutex>},
    {"atomic_shared_ptr", &measured<ByAtomic>},
};

}  // namespace
}  // namespace quaver::bench

int main() {
  using namespace quaver::bench;
  Shared shared;
  for (const int threads : {1, 2}) {
    std::vector<double> seconds[std::size(kWays)][kMeasures];
    for (int round = 0; round < kRounds; ++round) {
      for (std::size_t way = 0; way < std::size(kWays); ++way) {
        const Seconds once = kWays[way].measured(shared, threads);
        for (int i = 0; i < kMeasures; ++i) seconds[way][i].push_back(once[i]);
      }
    }
    for (std::size_t way = 0; way < std::size(kWays); ++way) {
      std::cout << kWays[way].name << " " << threads;
      for (std::vector<double>& measure : seconds[way]) std::cout << " " << median(measure) * 1e9;
      std::cout << "\n";
    }
  }
}
