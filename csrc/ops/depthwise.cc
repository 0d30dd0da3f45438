#include "ops/depthwise.h"

#include "kernels/depthwise/depthwise_f32.h"
#include "kernels/depthwise/depthwise_u8.h"
#include "ops/conv_weights.h"
#include "ops/epilogue.h"

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

// A unit is one row of output pixels of one image.
template <class Kernel, class Args, class Element, class Bias>
class DepthwiseStep final : public Step {
 public:
  const Kernel* kernel = nullptr;
  Args args;
  std::vector<std::int32_t> offsets;
  std::vector<Bias> bias;
  std::vector<float> scale;
  std::vector<Element> pad;
  std::shared_ptr<const AlignedBuffer> w;
  std::size_t rows = 0, row_pixels = 0, x_image = 0;
  ValueId x = kNone, y = kNone, residual = kNone;

  void finish(const LowerContext& context, const ConvGeometry& g) {
    x = context.in(0);
    y = context.out();
    if (context.has_input(kResidual)) residual = context.in(kResidual);
    offsets = conv_offsets(g, 1);
    rows = g.oh;
    row_pixels = g.ow;
    x_image = g.h * g.w * g.c * g.element;
    args.pixels = g.ow;
    args.channels = g.c;
    args.taps = g.taps();
    args.pad = pad.data();
    args.w = reinterpret_cast<decltype(args.w)>(w->data());
    args.bias = bias.data();
    args.c_stride = args.r_stride = g.c * g.element;
    if constexpr (requires { args.scale; }) args.scale = scale.data();
    units = g.images * g.oh;
    info.kernel = kernel->name;
    info.isa = kernel->isa;
    info.macs = g.images * g.pixels() * g.c * g.taps();
  }

  void run(const RunContext& context, std::size_t first, std::size_t last) const override {
    for (std::size_t unit = first; unit < last; ++unit) {
      const std::size_t image = unit / rows, row = unit % rows;
      Args call = args;
      call.a = reinterpret_cast<const Element*>(context.as<std::byte>(x) + image * x_image);
      call.offsets = offsets.data() + row * row_pixels * args.taps;
      const std::size_t place = unit * row_pixels * args.channels;
      call.c = context.as<Element>(y) + place;
      if (residual != kNone) call.r = context.as<Element>(residual) + place;
      kernel->run(call);
    }
  }
};

std::unique_ptr<Step> lower_u8(LowerContext& context, const ConvGeometry& g) {
  using namespace kernels;
  const WeightPlanes weights = weight_planes(context, context.input(1), g.o);
  if (weights.planes.size() != 1) return nullptr;
  auto step = std::make_unique<DepthwiseStep<DepthwiseU8Kernel, DepthwiseU8Args, std::uint8_t, std::int32_t>>();
  const std::int32_t zero = context.zero_point(context.input(0));
  const auto bias = context.has_input(2) ? context.constant<std::int32_t>(2) : std::span<const std::int32_t>{};
  step->bias = padded<std::int32_t>(fold_bias(weights, zero, bias));
  step->scale =
      padded<float>(requantize_scales(weights, context.scale(context.input(0)), context.scale(context.output())));
  step->pad.assign(g.c, static_cast<std::uint8_t>(zero));
  step->w = context.cache.get(context.input(1).data->data(), text("t4c ", g.taps()), [&] {
    AlignedBuffer packed(packed_size_depthwise_u8(g.c, g.taps()));
    pack_depthwise_u8(g.c, g.taps(), taps_first(weights.planes[0], g.c, g.taps()).data(), packed.as<std::int8_t>());
    return packed;
  });
  set_epilogue_u8(context, step->args);
  step->kernel = &pick_depthwise_u8(context.isa, g.c, g.taps());
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
  step->w = context.cache.get(source, text("tc ", g.taps()), [&] {
    const std::vector<float> w = taps_first(source, g.c, g.taps());
    AlignedBuffer packed(w.size() * sizeof(float));
    std::ranges::copy(w, packed.as<float>());
    return packed;
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
