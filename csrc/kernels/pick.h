// The list behind a kernel family, and the choice from it.
#pragma once

#include <cstddef>

#include "isa/isa.h"
#include "kernels/prefer.h"

namespace quaver::kernels {
namespace {

template <class List, class Kernel, std::size_t kSize>
List list_of(const Kernel* const (&all)[kSize]) {
  return {all, kSize};
}

// The last kernel of `all`, which is in order of rank, that fits and `set` can run, or the one that is preferred. The
// first that fits is scalar, which every set has.
template <class Kernel, std::size_t kSize, class Fits>
const Kernel& pick_where(const Kernel* const (&all)[kSize], IsaSet set, Fits fits) {
  const Kernel *best = nullptr, *preferred = nullptr;
  for (const Kernel* kernel : all) {
    if (!fits(*kernel)) continue;
    if (!best || set.has(kernel->isa)) best = kernel;
    if (set.has(kernel->isa) && is_preferred(kernel->name)) preferred = kernel;
  }
  return preferred ? *preferred : *best;
}

template <class Kernel, std::size_t kSize>
const Kernel& pick_best(const Kernel* const (&all)[kSize], IsaSet set) {
  return pick_where(all, set, [](const Kernel&) { return true; });
}

}  // namespace
}  // namespace quaver::kernels
