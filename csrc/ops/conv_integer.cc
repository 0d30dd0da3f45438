// ConvInteger, channels last: exact int32 sums of u8 activations and constant s8 or u8 weights.
#include "ops/conv_weights.h"

namespace quaver {

std::unique_ptr<Step> lower_ConvInteger(LowerContext& context) {
  const ConvGeometry g = conv_geometry(context, false);
  if (context.input(0).dtype != DType::u8) context.fail("its activations are ", name_of(context.input(0).dtype));
  auto step = std::make_unique<GemmStep<U8Gemm>>();
  step->args.k = g.depth();
  step->args.output = kernels::Output::i32;
  step->y_element = sizeof(std::int32_t);
  const WeightPlanes weights = integer_weights(context, context.input(1), g.o);
  set_integer_zero(context, *step, weights, g.group, g.width(), g.depth());
  step->x = context.in(0);
  step->y = context.out();
  step->images = g.images;
  step->x_image = g.h * g.w * g.c;
  step->y_image = g.pixels() * g.o * step->y_element;
  step->kernel = &kernels::pick_gemm_u8(context.isa, g.pixels(), g.width(), g.depth(), g.taps());
  step->offsets = conv_offsets(g, weights.planes.size());
  for (std::size_t group = 0; group < g.group; ++group) {
    GemmPart part;
    part.m = g.pixels();
    part.n = g.width();
    part.taps = g.taps() * weights.planes.size();
    part.offsets = 0;
    part.x_begin = group * g.depth();
    part.y_begin = group * g.width() * step->y_element;
    part.y_stride = g.o * step->y_element;
    part.channel = group * pad_to_panel(g.width());
    part.w = pack_rows<U8Gemm>(context.cache, context.input(1).data->data(), weights.planes, g.taps(), g.depth(),
                               group * g.width(), g.width(), all_taps(g.taps()));
    step->parts.push_back(std::move(part));
  }
  step->finish();
  return step;
}

}  // namespace quaver
