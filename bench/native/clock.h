#pragma once

#include <chrono>

namespace quaver::bench {

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Seconds of one call: the mean over as many calls as fill `at_least` seconds.
template <class Call>
double seconds_of(Call call, double at_least) {
  long calls = 0, batch = 1;
  const double start = now();
  double passed = 0;
  while (passed < at_least) {
    for (long i = 0; i < batch; ++i) call();
    calls += batch;
    batch *= 2;
    passed = now() - start;
  }
  return passed / static_cast<double>(calls);
}

}  // namespace quaver::bench
