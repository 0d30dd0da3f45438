// ConvTranspose: x [N, H, W, C], w [O, KH, KW, C / group], bias [O]?.
#include "graph/deconv_window.h"
#include "graph/ops/common.h"

namespace quaver {
namespace {

constexpr AttrSpec kConvTranspose[] = {{"strides", AttrKind::ints},     {"pads", AttrKind::ints},
                                       {"dilations", AttrKind::ints},   {"group", AttrKind::i},
                                       {"auto_pad", AttrKind::s},       {"output_padding", AttrKind::ints},
                                       {"output_shape", AttrKind::ints}};

void infer_conv_transpose(InferContext& c) {
  c.expect_rank(0, 4);
  c.expect_rank(1, 4);
  if (!c.ranked(0) || !c.ranked(1)) return c.output_unranked(0, c.real_dtype());
  const Dims &x = c.input(0).shape, &w = c.input(1).shape;
  check_groups(c, x, w);
  Dims out{x[0], kDynamic, kDynamic, w[0]};
  if (w[1] != kDynamic && w[2] != kDynamic) {
    const DeconvWindow window = resolve_deconv_window(c.attrs(), x[1], x[2], w[1], w[2]);
    out[1] = window.out[0];
    out[2] = window.out[1];
  }
  c.output(0, c.real_dtype(), std::move(out));
}

}  // namespace

const OpSchema schema_ConvTranspose{2, 3, 1, 1, kConvTranspose, infer_conv_transpose};

}  // namespace quaver
