// ConvTranspose, channels last, as one ordinary convolution per phase: output pixels whose coordinates agree modulo the
// strides see the same subset of taps (Shi et al., "Is the deconvolution layer the same as a convolutional layer?",
// 2016). No scatter, no zero insertion; each output is written once, with the same epilogue as Conv.
#include <algorithm>
#include <map>
#include <numeric>

#include "ops/block_step.h"
#include "ops/conv_weights.h"

namespace quaver {
namespace {

struct Transposition {
  std::int64_t stride, dilation, pad, kernel;

  // Taps that reach output position `o`, in order.
  std::vector<std::int64_t> taps(std::int64_t o) const {
    std::vector<std::int64_t> found;
    for (std::int64_t k = 0; k < kernel; ++k) {
      if ((o + pad - k * dilation) % stride == 0) found.push_back(k);
    }
    return found;
  }
  // The input position that tap k reads for output o.
  std::int64_t input(std::int64_t o, std::int64_t k) const {
    const std::int64_t position = o + pad - k * dilation;
    return position < 0 ? -1 : position / stride;
  }
};

Transposition along(const ConvGeometry& g, int axis) {
  const Window& window = g.window;
  return {window.strides[axis], window.dilations[axis], window.pads[axis], window.kernel[axis]};
}

// The zero point's share of a sum covers only the taps that a phase walks: appends the phase's own bias (and scale),
// giving where it begins. `step` holds those of the whole kernel in front.
template <class Family>
std::size_t add_phase(GemmStep<Family>& step, const ConvGeometry& g,
                      const std::vector<const typename Family::Weight*>& planes, const Taps& taps) {
  const std::size_t whole = g.group * pad_to_panel(g.width()), begin = step.bias.size();
  for (std::size_t i = 0; i < whole; ++i) {
    step.bias.push_back(step.bias[i]);
    if (!step.scale.empty()) step.scale.push_back(step.scale[i]);
  }
  if constexpr (std::is_integral_v<typename Family::Bias>) {
    for (std::size_t row = 0; row < g.o; ++row) {
      auto& bias = step.bias[begin + row / g.width() * pad_to_panel(g.width()) + row % g.width()];
      for (std::size_t tap = 0; tap < g.taps(); ++tap) {
        if (std::ranges::find(taps, tap) != taps.end()) continue;
        for (const auto* plane : planes) {
          const auto* w = plane + (row * g.taps() + tap) * g.depth();
          bias += step.pad[0] * std::accumulate(w, w + g.depth(), 0);
        }
      }
    }
  }
  return begin;
}

// Windows that meet edge to edge: each input pixel alone makes a block of kh × kw outputs, each by one tap.
bool edge_to_edge(const ConvGeometry& g) {
  const Transposition rows = along(g, 0), columns = along(g, 1);
  const auto meets = [](const Transposition& t) { return t.stride == t.kernel && t.dilation == 1 && t.pad == 0; };
  return g.group == 1 && meets(rows) && meets(columns) && g.oh == g.h * g.kh && g.ow == g.w * g.kw;
}

// The columns of a product for `count` taps from `first` on, one channel after the other of each.
template <class Family>
struct TapColumns {
  std::vector<typename Family::Bias> bias;  // padded to panels, like scale
  std::vector<float> scale;
  PackedBlock w;

  TapColumns(LowerContext& context, const ConvGeometry& g, GemmStep<Family>& step, const typename Family::Weight* plane,
             std::size_t first, std::size_t count) {
    const std::size_t width = count * g.o;
    for (std::size_t tap = first; tap < first + count; ++tap) {
      const std::size_t phase = add_phase<Family>(step, g, {plane}, {tap});
      bias.insert(bias.end(), step.bias.begin() + phase, step.bias.begin() + phase + g.o);
      if (!step.scale.empty()) scale.insert(scale.end(), step.scale.begin(), step.scale.begin() + g.o);
    }
    bias.resize(pad_to_panel(width));
    if (!step.scale.empty()) scale.resize(bias.size());
    const void* source = context.input(1).data->data();
    const std::string kind = text(Family::kLayout, "taps ", first, "+", count) +
                             kind_of_planes(source, std::vector{plane}, g.o * g.taps() * g.depth());
    w = context.cache.get(source, kind, Family::packed_bytes(width, 1, g.depth()), [&](void* out) {
      std::vector<typename Family::Weight> rows;
      for (std::size_t tap = first; tap < first + count; ++tap) {
        for (std::size_t o = 0; o < g.o; ++o) {
          const auto* from = plane + (o * g.taps() + tap) * g.depth();
          rows.insert(rows.end(), from, from + g.depth());
        }
      }
      Family::pack(width, 1, g.depth(), rows.data(), out);
    });
  }
};

// Then a row of input pixels and a row of taps make a row of outputs in one product, whose columns are a block's pixels
// and channels as they lie in the output.
template <class Family>
void add_block_rows(LowerContext& context, const ConvGeometry& g, GemmStep<Family>& step,
                    const typename Family::Weight* plane) {
  const std::size_t width = g.kw * g.o, element = step.y_element;
  std::vector<typename Family::Bias> bias;
  std::vector<float> scale;
  for (std::size_t ky = 0; ky < g.kh; ++ky) {
    const TapColumns<Family> columns(context, g, step, plane, ky * g.kw, g.kw);
    GemmPart part;
    part.m = g.w;
    part.n = width;
    part.y_stride = width * element;
    part.channel = bias.size();
    part.w = columns.w;
    bias.insert(bias.end(), columns.bias.begin(), columns.bias.end());
    scale.insert(scale.end(), columns.scale.begin(), columns.scale.end());
    for (std::size_t iy = 0; iy < g.h; ++iy) {
      part.x_begin = iy * g.w * g.c * g.element;
      part.y_begin = (iy * g.kh + ky) * g.ow * g.o * element;
      step.parts.push_back(part);
    }
  }
  step.bias = std::move(bias);
  step.scale = std::move(scale);
}

// Where no tap reaches, one tap of padding stands for the empty sum.
template <class Family>
std::unique_ptr<Step> lower(LowerContext& context, const ConvGeometry& g) {
  auto step = std::make_unique<GemmStep<Family>>();
  WeightPlanes weights;
  const auto planes = prepare(context, g, *step, weights);
  if (planes.size() == 1 && edge_to_edge(g)) {
    if constexpr (std::is_same_v<Family, U8Gemm>) {
      if (g.kw * g.o < BlockStep::kNarrow && g.kh > 1) {
        TapColumns<Family> columns(context, g, *step, planes[0], 0, g.taps());
        return std::make_unique<BlockStep>(g, *step, std::move(columns.bias), std::move(columns.scale), columns.w);
      }
    }
    add_block_rows<Family>(context, g, *step, planes[0]);
    step->finish();
    return step;
  }
  const Transposition rows = along(g, 0), columns = along(g, 1);
  const std::size_t element = step->y_element;
  std::map<Taps, std::size_t> phases;
  for (std::size_t oy = 0; oy < g.oh; ++oy) {
    for (std::size_t phase = 0; phase < std::min<std::size_t>(columns.stride, g.ow); ++phase) {
      Taps taps;
      for (const std::int64_t ky : rows.taps(oy)) {
        for (const std::int64_t kx : columns.taps(phase)) taps.push_back(ky * g.kw + kx);
      }
      const bool empty = taps.empty();
      if (empty) taps.push_back(0);
      if (!phases.contains(taps)) phases[taps] = add_phase<Family>(*step, g, planes, taps);
      GemmPart part;
      part.taps = taps.size() * planes.size();
      part.offsets = step->offsets.size();
      part.n = g.width();
      part.y_stride = columns.stride * g.o * element;
      for (std::size_t ox = phase; ox < g.ow; ox += columns.stride, ++part.m) {
        for (std::size_t t = 0; t < part.taps; ++t) {
          const std::size_t tap = taps[t % taps.size()];
          const std::int64_t iy = rows.input(oy, tap / g.kw), ix = columns.input(ox, tap % g.kw);
          step->offsets.push_back(empty ? kernels::kPad : g.offset(iy, ix));
        }
      }
      for (std::size_t group = 0; group < g.group; ++group) {
        part.x_begin = group * g.depth() * g.element;
        part.y_begin = ((oy * g.ow + phase) * g.o + group * g.width()) * element;
        part.channel = phases[taps] + group * pad_to_panel(g.width());
        part.w = pack_rows<Family>(context.cache, context.input(1).data->data(), planes, g.taps(), g.depth(),
                                   group * g.width(), g.width(), taps);
        step->parts.push_back(part);
      }
    }
  }
  step->finish();
  return step;
}

}  // namespace

std::unique_ptr<Step> lower_ConvTranspose(LowerContext& context) {
  const ConvGeometry geometry = conv_geometry(context, true);
  if (is_quantized(context)) return lower<U8Gemm>(context, geometry);
  return context.bf16() ? lower<Bf16Gemm>(context, in_bf16(geometry)) : lower<F32Gemm>(context, geometry);
}

}  // namespace quaver
