// Constant weights in the form the kernels take: [rows][depth], a row per output channel.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "graph/graph.h"
#include "ops/op.h"
#include "ops/pack_cache.h"

namespace quaver {

// Quantized weights as sums of s8 planes: w[row][i] − zero[row] = Σ_p planes[p][row][i].
//
// Symmetric s8 weights are one plane, taken as they are. u8 and asymmetric ones span up to 9 bits and become two or
// three planes; a kernel multiplies the same activations by each, so sums stay exact and no kernel knows of it.
struct WeightPlanes {
  std::size_t rows = 0, depth = 0;
  std::vector<const std::int8_t*> planes;
  std::vector<float> scale;        // one per row
  std::vector<std::int64_t> sums;  // Σ_i (w[row][i] − zero[row])
  std::vector<std::vector<std::int8_t>> owned;
};

// `value` is s8 or u8 of rows · depth elements; `zero` and `scale` have one entry or one per row.
WeightPlanes weight_planes(const Value& value, std::size_t rows, const std::vector<std::int32_t>& zero,
                           const std::vector<float>& scale);
// As above for a graph's constant: the sums of symmetric weights come from the cache, so that where a file brings the
// sums and the packed weights, the weights themselves are not read.
WeightPlanes weight_planes(PackCache& cache, const Value& value, std::size_t rows,
                           const std::vector<std::int32_t>& zero, const std::vector<float>& scale);
// Taking both from the value's Quant, whose axis must be 0 (the rows) where it is per channel.
WeightPlanes weight_planes(const LowerContext& context, const Value& value, std::size_t rows);

// Whether weights are taken as they are: s8, and every zero point 0.
bool is_symmetric(DType dtype, const std::vector<std::int32_t>& zero);
// The sums of symmetric rows, by way of the cache; `rows` gives their [count][depth] elements where they are not there.
std::vector<std::int64_t> cached_sums(PackCache& cache, PackCache::Source source, const std::string& order,
                                      std::size_t count, std::size_t depth,
                                      const std::function<const std::int8_t*()>& rows);
// What a block's kind must say of planes that are not the source's own bytes: equal bytes may mean different weights.
template <class Weight>
std::string kind_of_planes(PackCache::Source source, const std::vector<const Weight*>& planes, std::size_t size) {
  if (planes[0] == source) return {};
  std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
  for (const Weight* plane : planes) {
    for (std::size_t i = 0; i < size; ++i) hash = (hash ^ static_cast<std::uint8_t>(plane[i])) * 0x100000001b3u;
  }
  return text(" = ", hash);
}

// Folds zero points into the bias: bias[row] − zero_x · sums[row], in int32. `bias` may be empty.
std::vector<std::int32_t> fold_bias(const WeightPlanes& weights, std::int32_t zero_x,
                                    std::span<const std::int32_t> bias);

}  // namespace quaver
