#include "ops/depthwise.h"

#include <algorithm>

#include "kernels/depthwise/depthwise_f32.h"
#include "kernels/depthwise/depthwise_u8.h"
#include "ops/conv_weights.h"
#include "ops/epilogue.h"
#include "ops/result_tail.h"

namespace quaver {
namespace {

// [channels][taps] to [taps][channels].
template <class T>
std::vector<T> taps_first(const T* w, std::size_t channels, std::size_t taps) {
  std::vector<T> out(channels * taps);
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t t = 0; t < taps; ++t) out[t * channels + c] = w[c * taps + t];
  }
  return out;
}

template <class T>
std::vector<T> padded(std::span<const T> values) {
  std::vector<T> out(values.begin(), values.end());
  out.resize(align_up(values.size(), kernels::kDepthwisePad), T{});
  return out;
}

template <class T>
std::vector<T> in_lanes(std::span<const T> values) {
  std::vector<T> out(kernels::lane_values(values.size()), T{});
  for (std::size_t n = 0; n < out.size(); ++n) {
    const std::size_t c = kernels::lane_channel(values.size(), n);
    if (c < values.size()) out[n] = values[c];
  }
  return out;
}

// For each `outputs` rows of output pixels, the columns that they see of their windows' rows
// (kernels/depthwise/depthwise_u8.h).
std::vector<std::int32_t> column_offsets(const ConvGeometry& g, std::size_t columns, std::size_t outputs,
                                         std::size_t rows) {
  std::vector<std::int32_t> offsets;
  for (std::size_t row = 0; row < g.oh; row += outputs) {
    const std::int64_t top = std::int64_t(row) * g.window.strides[0] - g.window.pads[0];
    for (std::size_t column = 0; column < columns; ++column) {
      for (std::size_t y = 0; y < rows; ++y) {
        const std::int64_t at = top + std::int64_t(y) * g.window.dilations[0];
        offsets.push_back(g.offset(at, std::int64_t(column) - g.window.pads[1]));
      }
    }
  }
  return offsets;
}

std::size_t columns_of_row(const ConvGeometry& g) {
  const auto step = static_cast<std::size_t>(g.window.strides[1]);
  return (g.ow - 1) * step + (g.kw - 1) * static_cast<std::size_t>(g.window.dilations[1]) + 1;
}

// Where neighbours see few columns of each other, or there are many that none sees, a pixel is one column of all taps.
bool shares_columns(const ConvGeometry& g) { return g.ow > 0 && columns_of_row(g) <= g.ow * g.kw; }

bool fits_lanes(const ConvGeometry& g) {
  const auto step = static_cast<std::size_t>(g.window.strides[1]);
  const bool is_dilated = g.window.dilations[0] != 1 || g.window.dilations[1] != 1;
  return shares_columns(g) && !is_dilated && kernels::fits_lanes(g.kh, g.kw, step, 1);
}

// Rows of output pixels that one call makes.
std::size_t outputs_of(const ConvGeometry& g, const kernels::DepthwiseU8Kernel& kernel) {
  if (!shares_columns(g) || g.window.dilations[0] != 1) return 1;
  return kernels::shared_outputs(g.kh, static_cast<std::size_t>(g.window.strides[0]), kernel.products);
}

// Rows of input pixels that these see.
std::size_t rows_of(const ConvGeometry& g, std::size_t outputs) {
  return g.kh + (outputs - 1) * static_cast<std::size_t>(g.window.strides[0]);
}

void set_window(const ConvGeometry& g, kernels::DepthwiseU8Args& args, std::vector<std::int32_t>& offsets) {
  if (!shares_columns(g)) {
    args.rows = g.taps();
    offsets = conv_offsets(g, 1);
    return;
  }
  args.rows = rows_of(g, args.outputs), args.columns = g.kw;
  args.step = static_cast<std::size_t>(g.window.strides[1]);
  args.dilation = static_cast<std::size_t>(g.window.dilations[1]);
  offsets = column_offsets(g, columns_of_row(g), args.outputs, args.rows);
}

void set_window(const ConvGeometry& g, kernels::DepthwiseF32Args& args, std::vector<std::int32_t>& offsets) {
  args.taps = g.taps();
  offsets = conv_offsets(g, 1);
}

// A unit is a row of output pixels of one image, or several that a call makes at once.
template <class Kernel, class Args, class Element, class Bias>
class DepthwiseStep final : public Step {
 public:
  const Kernel* kernel = nullptr;
  Args args;
  std::vector<std::int32_t> offsets;
  std::vector<Bias> bias;
  std::vector<float> scale;
  std::vector<Element> pad;
  PackedBlock w;
  std::size_t rows = 0, unit_rows = 1, unit_offsets = 0, pixel_offsets = 0, x_image = 0;
  std::size_t y_element = sizeof(Element);
  ValueId x = kNone, y = kNone, residual = kNone;

  void finish(const LowerContext& context, const ConvGeometry& g) {
    x = context.in(0);
    y = context.out();
    if (context.has_input(kResidual)) residual = context.in(kResidual);
    if constexpr (kBytes) unit_rows = args.outputs;
    set_window(g, args, offsets);
    rows = g.oh;
    const std::size_t in_image = (g.oh + unit_rows - 1) / unit_rows;
    if constexpr (kBytes) {
      pixel_offsets = args.step * args.rows;
    } else {
      pixel_offsets = args.taps;
    }
    unit_offsets = in_image > 0 ? offsets.size() / in_image : 0;
    x_image = g.h * g.w * g.c * g.element;
    args.pixels = g.ow;
    args.channels = g.c;
    args.pad = pad.data();
    args.w = reinterpret_cast<decltype(args.w)>(w->data());
    args.bias = bias.data();
    args.r_stride = g.c * sizeof(Element);
    if constexpr (requires { args.scale; }) args.scale = scale.data();
    units = g.images * in_image;
    info.kernel = kernel->name;
    info.isa = kernel->isa;
    info.macs = g.images * g.pixels() * g.c * g.taps();
  }

  bool absorb_table(std::span<const std::uint8_t> table, IsaSet isa, ValueId out) override {
    if (!kBytes || y_element != 1) return false;
    y = tail_.tables.add(table, isa, out);
    return true;
  }

  bool absorb_function(const RealFunction& function, ValueId out) override {
    if (y_element != sizeof(float) || !tail_.reals.add(function)) return false;
    y = out;
    return true;
  }

  bool absorb_rounding(const ByteRounding& rounding, ValueId out) override {
    if (y_element != sizeof(float) || residual != kNone || !tail_.reals.add(rounding)) return false;
    y = out;
    y_element = 1;
    scratch = pixels_at_once() * unit_rows * args.channels * sizeof(float);
    return true;
  }

  void run(const RunContext& context, std::size_t first, std::size_t last) const override {
    const std::size_t in_image = (rows + unit_rows - 1) / unit_rows;
    for (std::size_t unit = first; unit < last; ++unit) {
      const std::size_t image = unit / in_image, row = unit % in_image * unit_rows;
      Args call = args;
      call.a = reinterpret_cast<const Element*>(context.as<std::byte>(x) + image * x_image);
      call.offsets = offsets.data() + unit % in_image * unit_offsets;
      run_rows(call, context, (image * rows + row) * args.pixels, std::min(unit_rows, rows - row));
    }
  }

 private:
  static constexpr bool kBytes = std::is_same_v<Element, std::uint8_t>;

  // Pixels that one call makes: those whose results stay in the nearest cache where they are not the output yet.
  std::size_t pixels_at_once() const {
    constexpr std::size_t kFew = 8;
    return std::clamp(tail_.reals.rows(unit_rows * args.channels), std::min(kFew, args.pixels), args.pixels);
  }

  // Of so many rows of pixels, the first of which is the output's `begin`-th.
  void run_rows(Args call, const RunContext& context, std::size_t begin, std::size_t outputs) const {
    const std::size_t pixel_bytes = args.channels * y_element, most = pixels_at_once();
    for (std::size_t done = 0; done < args.pixels; done += call.pixels) {
      call.pixels = std::min(most, args.pixels - done);
      const std::size_t pixel = begin + done, place = pixel * pixel_bytes, row_bytes = args.pixels * pixel_bytes;
      const ResultTail::Made made = tail_.aim(context, y, place, args.channels, pixel_bytes);
      const std::size_t apart = tail_.reals.makes_bytes() ? call.pixels * made.stride : row_bytes;
      call.c = reinterpret_cast<decltype(call.c)>(made.at);
      call.c_stride = made.stride;
      if constexpr (kBytes) call.outputs = outputs, call.c_apart = apart;
      if (residual != kNone) call.r = context.as<const Element>(residual) + pixel * args.channels;
      kernel->run(call);
      for (std::size_t o = 0; o < outputs; ++o) {
        tail_.finish({made.at + o * apart, made.stride}, context, y, place + o * row_bytes, call.pixels, args.channels,
                     pixel_bytes);
      }
      call.offsets += call.pixels * pixel_offsets;
    }
  }

  ResultTail tail_;
};

using StepU8 = DepthwiseStep<kernels::DepthwiseU8Kernel, kernels::DepthwiseU8Args, std::uint8_t, std::int32_t>;

void pack_in_lanes(LowerContext& context, const ConvGeometry& g, const WeightPlanes& weights, StepU8& step) {
  const auto stride = static_cast<std::size_t>(g.window.strides[1]);
  const void* source = context.input(1).data->data();
  const std::string kind =
      text("lanes ", g.kh, " step ", stride, kind_of_planes(source, weights.planes, g.c * g.taps()));
  step.w = context.cache.get(source, kind, kernels::packed_size_lanes(g.c, g.kh), [&](std::byte* out) {
    const std::vector<std::int8_t> w = taps_first(weights.planes[0], g.c, g.taps());
    kernels::pack_lanes(g.c, g.kh, stride, w.data(), reinterpret_cast<std::int8_t*>(out));
  });
}

void pack_in_columns(LowerContext& context, const ConvGeometry& g, const WeightPlanes& weights, StepU8& step) {
  const std::size_t outputs = step.args.outputs;
  const std::size_t rows = shares_columns(g) ? rows_of(g, outputs) : g.taps();
  const std::size_t columns = shares_columns(g) ? g.kw : 1;
  const std::size_t size = kernels::packed_size_depthwise_u8(g.c, rows, columns), row = columns * g.c;
  const void* source = context.input(1).data->data();
  const std::string kind = text("t4c ", outputs, "x", rows, "x", columns, " step ", g.window.strides[0],
                                kind_of_planes(source, weights.planes, g.c * g.taps()));
  step.w = context.cache.get(source, kind, outputs * size, [&](std::byte* out) {
    const std::vector<std::int8_t> w = taps_first(weights.planes[0], g.c, g.taps());
    for (std::size_t o = 0; o < outputs; ++o) {
      std::vector<std::int8_t> moved(rows * row, 0);
      std::ranges::copy(w, moved.begin() + o * static_cast<std::size_t>(g.window.strides[0]) * row);
      kernels::pack_depthwise_u8(g.c, rows, columns, moved.data(), reinterpret_cast<std::int8_t*>(out) + o * size);
    }
  });
}

std::unique_ptr<Step> lower_u8(LowerContext& context, const ConvGeometry& g) {
  const WeightPlanes weights = weight_planes(context, context.input(1), g.o);
  const bool floats = context.output().dtype == DType::f32;
  if (weights.planes.size() != 1 || (floats && context.has_input(kResidual))) return nullptr;
  auto step = std::make_unique<StepU8>();
  kernels::DepthwiseU8Args& args = step->args;
  const std::int32_t zero = context.zero_point(context.input(0));
  const auto given = context.has_input(2) ? context.constant<std::int32_t>(2) : std::span<const std::int32_t>{};
  const std::vector<std::int32_t> bias = fold_bias(weights, zero, given);
  const float y_scale = set_epilogue_u8_or_f32(context, args);
  const std::vector<float> scale = requantize_scales(weights, context.scale(context.input(0)), y_scale);
  step->pad.assign(g.c, static_cast<std::uint8_t>(zero));
  if (floats) step->y_element = sizeof(float);
  step->kernel = &kernels::pick_depthwise_u8(context.isa);
  args.rows = g.taps(), args.channels = g.c, args.bias = bias.data(), args.scale = scale.data();
  args.bounded = is_bounded(args);
  args.lanes = step->kernel->lanes && args.bounded && !context.has_input(kResidual) && fits_lanes(g);
  if (args.lanes) {
    step->bias = in_lanes<std::int32_t>(bias), step->scale = in_lanes<float>(scale);
    pack_in_lanes(context, g, weights, *step);
  } else {
    step->bias = padded<std::int32_t>(bias), step->scale = padded<float>(scale);
    args.outputs = outputs_of(g, *step->kernel);
    pack_in_columns(context, g, weights, *step);
  }
  step->finish(context, g);
  return step;
}

std::unique_ptr<Step> lower_f32(LowerContext& context, const ConvGeometry& g) {
  using namespace kernels;
  auto step = std::make_unique<DepthwiseStep<DepthwiseF32Kernel, DepthwiseF32Args, float, float>>();
  step->bias.assign(g.c, 0.0F);
  if (context.has_input(2)) std::ranges::copy(context.constant<float>(2), step->bias.begin());
  step->pad.assign(g.c, 0.0F);
  const float* source = context.constant<float>(1).data();
  step->w = context.cache.get(source, text("tc ", g.taps()), g.c * g.taps() * sizeof(float), [&](std::byte* out) {
    std::ranges::copy(taps_first(source, g.c, g.taps()), reinterpret_cast<float*>(out));
  });
  set_epilogue_f32(context, step->args);
  step->kernel = &pick_depthwise_f32(context.isa);
  step->finish(context, g);
  return step;
}

}  // namespace

std::unique_ptr<Step> lower_depthwise(LowerContext& context, const ConvGeometry& geometry, bool quantized) {
  return quantized ? lower_u8(context, geometry) : lower_f32(context, geometry);
}

}  // namespace quaver
