// The 16 virtual lanes in which sums of floats are taken, so that every vector width gives the same bits.
#pragma once

#include <cstddef>
#include <cstdint>

namespace quaver::kernels {
namespace {

constexpr std::size_t kVirtualLanes = 16;
#if defined(__AVX512F__)
constexpr std::size_t kNativeLanes = 16;
#elif defined(__AVX2__)
constexpr std::size_t kNativeLanes = 8;
#else
constexpr std::size_t kNativeLanes = 4;
#endif
constexpr std::size_t kNatives = kVirtualLanes / kNativeLanes;
typedef float Native __attribute__((vector_size(4 * kNativeLanes)));
typedef float NativeUnaligned __attribute__((vector_size(4 * kNativeLanes), aligned(4), may_alias));

// fold(accumulator, elements): over the whole 16s of a[0, n) lane by lane, then over the rest, lane l taking element l.
// Gives the lanes in `out`.
template <class Fold, class FoldOne>
inline void fold_lanes(const float* a, std::size_t n, float from, Fold fold, FoldOne fold_one, float* out) {
  Native lanes[kNatives];
#pragma GCC unroll 4
  for (std::size_t v = 0; v < kNatives; ++v) lanes[v] = Native{} + from;
  std::size_t j = 0;
  for (; j + kVirtualLanes <= n; j += kVirtualLanes) {
#pragma GCC unroll 4
    for (std::size_t v = 0; v < kNatives; ++v) {
      lanes[v] = fold(lanes[v], *reinterpret_cast<const NativeUnaligned*>(a + j + v * kNativeLanes));
    }
  }
#pragma GCC unroll 4
  for (std::size_t v = 0; v < kNatives; ++v) *reinterpret_cast<NativeUnaligned*>(out + v * kNativeLanes) = lanes[v];
  for (std::size_t l = 0; j + l < n; ++l) out[l] = fold_one(out[l], a[j + l]);
}

// x replaces the maximum so far only where x > it; -inf for n = 0.
[[maybe_unused]] float max_of(const float* a, std::size_t n) {
  const auto larger = [](auto y, auto x) { return x > y ? x : y; };
  float lanes[kVirtualLanes];
  fold_lanes(a, n, -__builtin_inff(), larger, larger, lanes);
  float y = lanes[0];
  for (std::size_t l = 1; l < kVirtualLanes; ++l) y = larger(y, lanes[l]);
  return y;
}

// The sum in 16 lanes, then for h in 8, 4, 2, 1: s[l] = s[l] + s[l + h]; gives s[0].
[[maybe_unused]] float sum_of(const float* a, std::size_t n) {
  const auto add = [](auto y, auto x) { return y + x; };
  float s[kVirtualLanes];
  fold_lanes(a, n, 0, add, add, s);
  for (int h = 8; h > 0; h /= 2) {
    for (int l = 0; l < h; ++l) s[l] = s[l] + s[l + h];
  }
  return s[0];
}

}  // namespace
}  // namespace quaver::kernels
