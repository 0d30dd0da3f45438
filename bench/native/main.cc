// quaver_bench: times kernels on request. Lines on stdin, an answer each on stdout:
//   list                  the kernels this CPU can run, "family name isa" each, then an empty line
//   peak TYPE ISA         multiply-accumulates a second in registers; TYPE is u8 or f32
//   run NAME M N K        seconds of one run
//   dispatch THREADS      seconds of an empty job of as many units, back to back
//   wake THREADS          the same where the workers have gone to sleep before
#include <algorithm>
#include <chrono>
#include <iostream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/thread_pool.h"
#include "isa/peak.h"
#include "native/benchmarks.h"
#include "native/clock.h"

namespace {

using namespace quaver;
using namespace quaver::bench;

double peak(const std::string& type, const std::string& isa) {
  for (int i = 0; i < kIsaCount; ++i) {
    if (isa == kIsaNames[i]) return type == "u8" ? peak_u8(static_cast<Isa>(i)) : peak_f32(static_cast<Isa>(i));
  }
  return 0;
}

double dispatch(unsigned threads) {
  ThreadPool pool(threads);
  const Caller caller;
  const auto job = [&] { pool.run(threads, [](void*, std::size_t, std::size_t, unsigned) {}, nullptr); };
  std::vector<double> times;
  for (int i = 0; i < 21; ++i) times.push_back(seconds_of(job, 0.002));
  std::ranges::sort(times);
  return times[times.size() / 2];
}

double wake(unsigned threads) {
  ThreadPool pool(threads);
  const Caller caller;
  std::vector<double> times;
  for (int i = 0; i < 101; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    const double start = now();
    pool.run(threads, [](void*, std::size_t, std::size_t, unsigned) {}, nullptr);
    times.push_back(now() - start);
  }
  std::ranges::sort(times);
  return times[times.size() / 2];
}

std::string answer(const std::vector<Benchmark>& all, const std::string& line) {
  std::istringstream words(line);
  std::ostringstream out;
  std::string verb, name, isa;
  words >> verb;
  if (verb == "list") {
    for (const Benchmark& one : all) out << one.family << " " << one.name << " " << name_of(one.isa) << "\n";
  } else if (verb == "peak" && words >> name >> isa) {
    out << peak(name, isa);
  } else if (unsigned threads = 0; (verb == "dispatch" || verb == "wake") && words >> threads) {
    out << (verb == "wake" ? wake(threads) : dispatch(threads));
  } else if (Shape shape{}; verb == "run" && words >> name >> shape.m >> shape.n >> shape.k) {
    for (const Benchmark& one : all) {
      if (one.name == name) out << one.seconds(shape);
    }
  }
  return out.str();
}

}  // namespace

int main() {
  const auto all = benchmarks();
  for (std::string line; std::getline(std::cin, line);) std::cout << answer(all, line) << std::endl;
}
