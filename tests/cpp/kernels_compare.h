// Running every kernel of a list that this CPU has against the scalar definition.
#pragma once

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "cpp/check.h"
#include "cpp/kernels_case.h"

namespace quaver::testing {

// To the bit, but for which NaN a NaN is.
inline bool same_bits(float a, float b) { return (std::isnan(a) && std::isnan(b)) || std::memcmp(&a, &b, 4) == 0; }
inline bool same_bits(std::uint8_t a, std::uint8_t b) { return a == b; }

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!same_bits(a[i], b[i])) return false;
  }
  return true;
}

// The same values where a read past the last faults.
template <class T>
struct Fenced : kernel_case::Guarded<T> {
  explicit Fenced(const std::vector<T>& values) : kernel_case::Guarded<T>(values.size()) {
    for (std::size_t i = 0; i < values.size(); ++i) (*this)[i] = values[i];
  }
};

// Each kernel's output, by run(kernel, out), against that of `definition`; `where` names the case. Gives the
// definition's.
template <class T, class Kernel, class List, class Fits, class Run>
std::vector<T> compare_kernels(const List& list, const Kernel& definition, std::size_t size, const std::string& where,
                               Fits fits, Run run) {
  constexpr T kGuard = 42;
  std::vector<T> want(size, kGuard);
  run(definition, want.data());
  for (std::size_t k = 0; k < list.size; ++k) {
    const Kernel& kernel = *list.items[k];
    if (!fits(kernel) || !kernel_case::runnable(kernel.isa)) continue;
    Fenced<T> fenced(std::vector<T>(size, kGuard));
    run(kernel, fenced.data());
    const std::vector<T> got(fenced.begin(), fenced.end());
    if (!same_bits(got, want)) check::failed(__FILE__, __LINE__, std::string(kernel.name) + " differs: " + where);
  }
  return want;
}

inline std::vector<std::uint8_t> random_bytes(std::mt19937& random, std::size_t n) {
  std::vector<std::uint8_t> out(n);
  const unsigned kind = random() % 5;
  for (auto& x : out) x = static_cast<std::uint8_t>(kind == 0 ? 0 : kind == 1 ? 255 : random());
  return out;
}

// Now and then with infinities, NaN and zeros of both signs.
inline std::vector<float> random_floats(std::mt19937& random, std::size_t n) {
  const float special[] = {INFINITY, -INFINITY, NAN, 0.0F, -0.0F, 1e-41F, 3.4e38F, -3.4e38F};
  std::normal_distribution<float> normal(0, 3);
  std::vector<float> out(n);
  const bool plain = random() % 3 != 0;
  for (float& x : out) x = plain || random() % 8 ? normal(random) : special[random() % std::size(special)];
  return out;
}

}  // namespace quaver::testing
