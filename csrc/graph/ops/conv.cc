// Conv (bias, residual and clips fused by passes), ConvInteger: x [N, H, W, C], w [O, KH, KW, C / group].
#include "graph/ops/common.h"
#include "graph/window.h"

namespace quaver {
namespace {

constexpr AttrSpec kConv[] = {{"strides", AttrKind::ints}, {"pads", AttrKind::ints},  {"dilations", AttrKind::ints},
                              {"group", AttrKind::i},      {"auto_pad", AttrKind::s}, {"lo", AttrKind::f},
                              {"hi", AttrKind::f},         {"pre_lo", AttrKind::f},   {"pre_hi", AttrKind::f}};
constexpr std::span<const AttrSpec> kConvInteger(kConv, 5);

void output_conv(InferContext& c, DType dtype) {
  c.expect_rank(0, 4);
  c.expect_rank(1, 4);
  if (!c.ranked(0) || !c.ranked(1)) return c.output_unranked(0, dtype);
  const Dims &x = c.input(0).shape, &w = c.input(1).shape;
  check_groups(c, x, w);
  Dims out{x[0], kDynamic, kDynamic, w[0]};
  if (w[1] != kDynamic && w[2] != kDynamic) {
    const Window window = resolve_window(c.attrs(), x[1], x[2], w[1], w[2]);
    out[1] = window.out(0, x[1]);
    out[2] = window.out(1, x[2]);
  }
  c.output(0, dtype, std::move(out));
}

void infer_conv(InferContext& c) {
  c.expect_rank(1, 4);
  if (c.has_input(2)) c.expect_rank(2, 1);
  if (c.ranked(1) && c.ranked(2) && contradicts(c.input(2).shape[0], c.input(1).shape[0])) {
    c.fail("a bias of shape ", to_string(c.input(2).shape), " for ", c.input(1).shape[0], " output channels");
  }
  output_conv(c, c.real_dtype());
}

void infer_conv_integer(InferContext& c) {
  expect_dtype(c, 0, {DType::u8, DType::s8});
  expect_dtype(c, 1, {DType::u8, DType::s8});
  output_conv(c, DType::i32);
}

}  // namespace

const OpSchema schema_Conv{2, 4, 1, 1, kConv, infer_conv};
const OpSchema schema_ConvInteger{2, 4, 1, 1, kConvInteger, infer_conv_integer};

}  // namespace quaver
