// Packing of convolution weights, group by group, through the model's cache.
#pragma once

#include <string>

#include "ops/conv_geometry.h"
#include "ops/gemm_step.h"
#include "ops/pack_cache.h"
#include "ops/weights.h"

namespace quaver {

// The taps of [rows][taps][depth] weights that one kernel call walks: all of them, or a transposed convolution's phase.
using Taps = std::vector<std::size_t>;

// Packs rows [first, first + n) of each plane, restricted to `taps`, into the kernels' layout: plane after plane along
// the taps.
template <class Family>
void write_rows(const std::vector<const typename Family::Weight*>& planes, std::size_t all_taps, std::size_t depth,
                std::size_t first, std::size_t n, const Taps& taps, void* out) {
  const std::size_t walked = taps.size() * planes.size();
  std::vector<typename Family::Weight> rows;
  rows.reserve(n * walked * depth);
  for (std::size_t row = first; row < first + n; ++row) {
    for (const auto* plane : planes) {
      for (const std::size_t tap : taps) {
        const auto* from = plane + (row * all_taps + tap) * depth;
        rows.insert(rows.end(), from, from + depth);
      }
    }
  }
  Family::pack(n, walked, depth, rows.data(), out);
}

// As write_rows, by way of the cache. The layout's name begins the kind of every block in it.
template <class Family>
PackedBlock pack_rows(PackCache& cache, PackCache::Source source,
                      const std::vector<const typename Family::Weight*>& planes, std::size_t all_taps,
                      std::size_t depth, std::size_t first, std::size_t n, const Taps& taps) {
  std::string kind = text(Family::kLayout, depth, " ", first, "+", n, ":");
  for (const std::size_t tap : taps) kind += text(" ", tap);
  kind += kind_of_planes(source, planes, (first + n) * all_taps * depth);
  return cache.get(source, kind, Family::packed_bytes(n, taps.size() * planes.size(), depth),
                   [&](void* out) { write_rows<Family>(planes, all_taps, depth, first, n, taps, out); });
}

inline Taps all_taps(std::size_t taps) {
  Taps all(taps);
  for (std::size_t i = 0; i < taps; ++i) all[i] = i;
  return all;
}

// values[group · width + i] at [group · pad_to_panel(width) + i]: each group's channels begin a panel.
template <class T>
std::vector<T> pad_groups(std::span<const T> values, std::size_t group, std::size_t width) {
  std::vector<T> out(group * pad_to_panel(width), T{});
  for (std::size_t g = 0; g < group; ++g) {
    std::copy_n(values.begin() + g * width, width, out.begin() + g * pad_to_panel(width));
  }
  return out;
}

// The requantizing scales sx · sw[row] / sy, in single precision and this order, as other runtimes compute them.
std::vector<float> requantize_scales(const WeightPlanes& weights, float scale_x, float scale_y);

// Fills what a quantized (or fp32) convolution's step needs beside its parts and offsets: kernel, constants, values.
// Returns the planes to pack; `weights` keeps them alive.
std::vector<const std::int8_t*> prepare(const LowerContext& context, const ConvGeometry& geometry,
                                        GemmStep<U8Gemm>& step, WeightPlanes& weights);
template <class Family>
std::vector<const float*> prepare(const LowerContext& context, const ConvGeometry& geometry, GemmStep<Family>& step,
                                  WeightPlanes& weights);
extern template std::vector<const float*> prepare(const LowerContext&, const ConvGeometry&, GemmStep<F32Gemm>&,
                                                  WeightPlanes&);
extern template std::vector<const float*> prepare(const LowerContext&, const ConvGeometry&, GemmStep<Bf16Gemm>&,
                                                  WeightPlanes&);

// For ConvInteger and MatMulInteger, whose inputs 2 and 3 are the zero points of activations and weights (0 where left
// out): the planes of w − zero, and the step's bias for a zero point of x that is constant or known only at run time.
std::vector<std::int32_t> integer_zero_points(const LowerContext& context, std::size_t input);
WeightPlanes integer_weights(const LowerContext& context, const Value& weight, std::size_t rows);
void set_integer_zero(const LowerContext& context, GemmStep<U8Gemm>& step, const WeightPlanes& weights,
                      std::size_t group, std::size_t width, std::size_t depth);

// True for a quantized convolution, false for an fp32 one; anything else cannot run.
bool is_quantized(const LowerContext& context);

}  // namespace quaver
