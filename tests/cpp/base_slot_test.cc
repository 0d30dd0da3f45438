#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <future>
#include <iostream>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/hot_swap.h"
#include "base/slot_word.h"
#include "cpp/check.h"

namespace {

using namespace quaver;
using namespace std::chrono_literals;

// A value that counts its ends and outlives them, so that a use after the end or a second end is seen for certain.
struct Canary {
  std::uint64_t version = 0;
  std::atomic<int> ends{0};
};

class Aviary {
 public:
  std::shared_ptr<Canary> next() {
    Canary& canary = birds_.emplace_back();
    canary.version = birds_.size();
    return {&canary, [](Canary* bird) { bird->ends.fetch_add(1, std::memory_order_relaxed); }};
  }
  const std::deque<Canary>& birds() const { return birds_; }

 private:
  std::deque<Canary> birds_;
};

// For what must come: how soon is the machine's affair, which may have other work.
constexpr std::chrono::milliseconds kPatience = 100s;

template <class Done>
bool within(std::chrono::milliseconds limit, Done done) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!done() && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(100us);
  return done();
}

bool long_run() { return std::getenv("QUAVER_SLOW") != nullptr; }

struct Tally {
  std::atomic<std::uint64_t> pins{0}, dead{0}, mixed{0}, backwards{0};
};

// Pins until told to stop; some pins overlap, some are given back by another thread.
void read(HotSwap<Canary>& slot, const std::atomic<bool>& stop, Tally& tally) {
  std::uint64_t pins = 0;
  const auto look = [&](const HotSwap<Canary>::Pin& pin) {
    if (pin->ends.load(std::memory_order_relaxed)) ++tally.dead;
    if (pin->version != pin.version()) ++tally.mixed;
  };
  while (!stop.load(std::memory_order_relaxed)) {
    for (int i = 0; i < 64; ++i) {
      const auto outer = slot.pin();
      look(outer);
      const auto inner = slot.pin();
      look(inner);
      look(outer);
    }
    pins += 128;
    if (pins % 65536 == 0) {
      std::thread([&, pin = slot.pin()] { look(pin); }).join();
    }
  }
  tally.pins += pins;
}

// Swaps (and now and then rolls back) under readers that never stop; then all but what is kept has ended, once.
void stress(SlotLimits limits, int readers, int swaps) {
  Aviary aviary;
  Tally tally;
  std::atomic<bool> stop{false};
  int failed = 0;
  {
    HotSwap<Canary> slot(aviary.next(), 1, limits);
    std::vector<std::thread> threads;
    for (int i = 0; i < readers; ++i) threads.emplace_back([&] { read(slot, stop, tally); });
    for (int i = 0; i < swaps && !failed; ++i) {
      try {
        slot.swap(aviary.next(), {{}, kPatience});
        if (limits.keep_previous && i % 5 == 0) slot.rollback();
      } catch (const Error&) {
        ++failed;
      }
      if (i % 16 == 0) std::this_thread::sleep_for(50us);
    }
    stop = true;
    for (std::thread& thread : threads) thread.join();
    const std::size_t kept = limits.keep_previous ? 2 : 1;
    CHECK(within(kPatience, [&] { return slot.live().size() == kept; }));
    CHECK_EQ(slot.live().size(), kept);
    for (const Canary& canary : aviary.birds()) {
      const auto live = slot.live();
      const bool lives = std::find(live.begin(), live.end(), canary.version) != live.end();
      if (canary.ends != (lives ? 0 : 1)) ++failed;
    }
  }
  for (const Canary& canary : aviary.birds()) failed += canary.ends != 1;
  CHECK_EQ(failed, 0);
  CHECK_EQ(tally.dead.load(), 0u);
  CHECK_EQ(tally.mixed.load(), 0u);
  CHECK(tally.pins > 0);
  std::cout << "slot stress: " << readers << " readers, " << swaps << " swaps, " << tally.pins << " pins\n";
}

}  // namespace

TEST(slot_word_ends_a_slot_with_its_last_pin) {
  SlotWord word;
  const unsigned first = word.acquire(), again = word.acquire();
  CHECK_EQ(first, 0u);
  CHECK_EQ(again, 0u);
  CHECK(!word.release(0));  // current: not even the last pin ends it
  CHECK(!word.release(0));
  const unsigned held = word.acquire();
  CHECK(!word.swap(1));
  CHECK_EQ(word.current(), 1u);
  CHECK_EQ(word.acquire(), 1u);
  CHECK(word.release(held));
  CHECK(!word.release(1));
  CHECK(word.swap(2));  // nobody held it
}

TEST(slot_word_takes_a_pinned_slot_back) {
  SlotWord word;
  const unsigned kept = word.acquire();
  CHECK(!word.swap(1));
  CHECK(word.swap(0));
  CHECK(!word.release(kept));
  CHECK_EQ(word.acquire(), 0u);
  CHECK(!word.swap(63));
  CHECK(word.release(0));
}

TEST(slot_pins_outlive_swaps) {
  Aviary aviary;
  HotSwap<Canary> slot(aviary.next());
  {
    const auto pin = slot.pin();
    CHECK_EQ(slot.swap(aviary.next()), 2u);
    CHECK_EQ(slot.swap(aviary.next()), 3u);
    CHECK_EQ(pin->version, 1u);
    CHECK_EQ(pin.version(), 1u);
    CHECK_EQ(slot.version(), 3u);
    CHECK_EQ(slot.live(), (std::vector<std::uint64_t>{1, 2, 3}));
    CHECK_EQ(pin->ends.load(), 0);
  }
  CHECK(within(kPatience, [&] { return slot.live().size() == 2; }));
  CHECK_EQ(aviary.birds()[0].ends.load(), 1);
}

TEST(slot_drops_old_versions_on_its_own_thread) {
  std::promise<std::thread::id> dropper;
  auto dropped = dropper.get_future();
  HotSwap<int> slot({new int,
                     [&](int* p) {
                       delete p;
                       dropper.set_value(std::this_thread::get_id());
                     }},
                    1, {2, false});
  {
    const auto pin = slot.pin();
    slot.swap(std::make_shared<int>(2));
    CHECK(dropped.wait_for(0s) == std::future_status::timeout);
  }
  CHECK(dropped.wait_for(kPatience) == std::future_status::ready);
  CHECK(dropped.get() != std::this_thread::get_id());
}

TEST(slot_rolls_back_and_comes_back) {
  Aviary aviary;
  HotSwap<Canary> slot(aviary.next(), 10);
  CHECK_THROWS(slot.rollback(), Error, "none was swapped out yet");
  slot.swap(aviary.next(), {20, {}});
  CHECK_EQ(slot.rollback(), 10u);
  CHECK_EQ(slot.version(), 10u);
  CHECK_EQ(slot.pin()->version, 1u);
  CHECK_EQ(slot.rollback(), 20u);
  CHECK_EQ(slot.swap(aviary.next()), 21u);
  CHECK(within(kPatience, [&] { return slot.live() == std::vector<std::uint64_t>{20, 21}; }));
  HotSwap<Canary> forgetful(aviary.next(), 1, {4, false});
  forgetful.swap(aviary.next());
  CHECK_THROWS(forgetful.rollback(), Error, "keep_previous");
}

TEST(slot_bounds_live_versions) {
  HotSwap<int> slot(std::make_shared<int>(1), 1, {3, true});
  auto pin = std::make_unique<HotSwap<int>::Pin>(slot.pin());
  slot.swap(std::make_shared<int>(2));
  slot.swap(std::make_shared<int>(3));
  try {
    slot.swap(std::make_shared<int>(4), {{}, 10ms});
    CHECK(false);
  } catch (const Error& error) {
    CHECK(error.status() == Status::busy);
    CHECK(std::string(error.what()).find("versions 1, 2, 3 are still in use") != std::string::npos);
  }
  CHECK_EQ(slot.version(), 3u);
  CHECK_EQ(slot.rollback(), 2u);  // needs no room
  auto waiting = std::async([&] { return slot.swap(std::make_shared<int>(4), {{}, 5000ms}); });
  pin.reset();
  CHECK_EQ(waiting.get(), 4u);
}

TEST(slot_refuses_nonsense) {
  const auto one = std::make_shared<int>(1);
  CHECK_THROWS(HotSwap<int>(nullptr), Error, "null");
  CHECK_THROWS(HotSwap<int>(one, 0), Error, "count from 1");
  CHECK_THROWS(HotSwap<int>(one, 1, {2, true}), Error, "from 3 to 64");
  CHECK_THROWS(HotSwap<int>(one, 1, {65, false}), Error, "from 2 to 64");
  HotSwap<int> slot(one, 5);
  CHECK_THROWS(slot.swap(nullptr), Error, "null");
  CHECK_THROWS(slot.swap(one, {0, {}}), Error, "count from 1");
  CHECK_THROWS(slot.swap(one, {5, {}}), Error, "version 5 is live already");
  CHECK_EQ(slot.swap(one, {3, {}}), 3u);
  CHECK_EQ(slot.swap(one), 6u);
}

TEST(slot_serves_after_stop) {
  Aviary aviary;
  {
    HotSwap<Canary> slot(aviary.next(), 1, {3, false});
    slot.stop();
    slot.stop();
    slot.swap(aviary.next());
    CHECK_EQ(slot.pin()->version, 2u);
    CHECK_EQ(aviary.birds()[0].ends.load(), 0);
  }
  CHECK_EQ(aviary.birds()[0].ends.load(), 1);
  CHECK_EQ(aviary.birds()[1].ends.load(), 1);
}

TEST(slot_stress) {
  const int swaps = long_run() ? 100'000 : 2'000;
  stress({4, true}, 3, swaps);
  stress({64, true}, 2, swaps);
  stress({2, false}, 3, swaps);
}

TEST(slot_stress_with_many_writers) {
  Aviary aviary;
  std::mutex mutex;
  HotSwap<Canary> slot(aviary.next(), 1, {6, true});
  Tally tally;
  std::atomic<bool> stop{false};
  std::atomic<int> failed{0};
  std::thread reader([&] { read(slot, stop, tally); });
  std::vector<std::thread> writers;
  for (int i = 0; i < 3; ++i) {
    writers.emplace_back([&] {
      for (int round = 0; round < (long_run() ? 20'000 : 300); ++round) {
        std::unique_lock lock(mutex);
        const auto canary = aviary.next();
        lock.unlock();
        failed += slot.swap(canary, {canary->version, 5000ms}) != canary->version;
      }
    });
  }
  std::thread other([&] {
    while (!stop) {
      try {
        slot.rollback();
      } catch (const Error&) {  // before the first swap
      }
      std::this_thread::sleep_for(100us);
    }
  });
  for (std::thread& writer : writers) writer.join();
  stop = true;
  reader.join();
  other.join();
  CHECK(within(kPatience, [&] { return slot.live().size() == 2; }));
  int ends = 0;
  for (const Canary& canary : aviary.birds()) ends += canary.ends;
  CHECK_EQ(static_cast<std::size_t>(ends), aviary.birds().size() - 2);
  CHECK_EQ(failed + tally.dead + tally.mixed, 0u);
}
