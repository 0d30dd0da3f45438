// The list behind a kernel family, and the choice from it.
#pragma once

#include <cstddef>

#include "isa/isa.h"

namespace quaver::kernels {
namespace {

template <class List, class Kernel, std::size_t kSize>
List list_of(const Kernel* const (&all)[kSize]) {
  return {all, kSize};
}

// The last kernel of `all`, which is in order of rank, that `set` can run. The first is scalar, which every set has.
template <class Kernel, std::size_t kSize>
const Kernel& pick_best(const Kernel* const (&all)[kSize], IsaSet set) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < kSize; ++i) best = set.has(all[i]->isa) ? i : best;
  return *all[best];
}

// As above, among the kernels for which `fits` holds; the first of those is scalar. Where a list holds several kinds.
template <class Kernel, std::size_t kSize, class Fits>
const Kernel& pick_where(const Kernel* const (&all)[kSize], IsaSet set, Fits fits) {
  const Kernel* best = nullptr;
  for (const Kernel* kernel : all) {
    if (fits(*kernel) && (!best || set.has(kernel->isa))) best = kernel;
  }
  return *best;
}

}  // namespace
}  // namespace quaver::kernels
