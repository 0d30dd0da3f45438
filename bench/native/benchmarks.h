// The kernel lists as benchmarks.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "isa/isa.h"

namespace quaver::bench {

struct Shape {
  std::size_t m, n, k;  // rows, columns, products an output; depthwise: pixels, channels, taps
};

struct Benchmark {
  std::string family, name;
  Isa isa;
  std::function<double(Shape)> seconds;  // of one run on one thread, inputs in cache as the kernel leaves them
};

// Every kernel this CPU can run, in the order of the lists.
std::vector<Benchmark> benchmarks();

}  // namespace quaver::bench
