// Conv, channels last. Pointwise: a matrix product on the tensor as it lies. Depthwise: its own kernels. Everything
// else: a product whose rows are found through a table of offsets, so that no patch is ever copied.
#include "ops/conv_grid.h"
#include "ops/conv_patches.h"
#include "ops/conv_weights.h"
#include "ops/conv_window_rows.h"
#include "ops/depthwise.h"

namespace quaver {
namespace {

template <class Family>
std::unique_ptr<Step> lower(LowerContext& context, const ConvGeometry& g) {
  auto step = std::make_unique<GemmStep<Family>>();
  WeightPlanes weights;
  const auto planes = prepare(context, g, *step, weights);
  if constexpr (std::is_same_v<Family, U8Gemm>) {
    if (auto grid = lower_conv_grid(context, g, *step, planes, false)) return grid;
  }
  if constexpr (std::is_same_v<Family, Bf16Gemm>) {
    if (auto grid = lower_conv_grid(context, g, *step, planes)) return grid;
  }
  const bool direct = g.pointwise() && planes.size() == 1;
  if (direct) {
    step->images = 1;
  } else {
    step->offsets = conv_offsets(g, planes.size());
  }
  const std::size_t row_bytes = g.o * step->y_element;
  for (std::size_t group = 0; group < g.group; ++group) {
    GemmPart part;
    part.m = direct ? g.images * g.pixels() : g.pixels();  // images of a pointwise convolution are one long one
    part.n = g.width();
    part.taps = g.taps() * planes.size();
    if (!direct) part.offsets = 0;
    part.x_begin = group * g.depth() * g.element;
    part.y_begin = group * g.width() * step->y_element;
    part.y_stride = row_bytes;
    part.channel = group * pad_to_panel(g.width());
    part.w = pack_rows<Family>(context.cache, context.input(1).data->data(), planes, g.taps(), g.depth(),
                               group * g.width(), g.width(), all_taps(g.taps()));
    step->parts.push_back(std::move(part));
  }
  step->finish();
  return step;
}

}  // namespace

std::unique_ptr<Step> lower_Conv(LowerContext& context) {
  const ConvGeometry geometry = conv_geometry(context, false);
  const bool quantized = is_quantized(context);
  const DType made = context.output().dtype;
  if (geometry.depthwise() && (made == DType::u8 || made == DType::f32)) {
    if (auto step = lower_depthwise(context, geometry, quantized)) return step;
  }
  if (quantized) {
    if (auto step = lower_conv_patches(context, geometry)) return step;
  }
  if (quantized) return lower<U8Gemm>(context, geometry);
  if (!context.bf16()) return lower<F32Gemm>(context, geometry);
  if (auto step = lower_conv_window_rows(context, in_bf16(geometry))) return step;
  return lower<Bf16Gemm>(context, in_bf16(geometry));
}

}  // namespace quaver
