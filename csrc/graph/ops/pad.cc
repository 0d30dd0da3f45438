// Pad: x, pads, value?, axes?.
#include <algorithm>
#include <numeric>

#include "graph/ops/common.h"

namespace quaver {
namespace {

constexpr AttrSpec kPad[] = {{"mode", AttrKind::s}};

void check_mode(const InferContext& c) {
  const std::string mode = c.attrs().s("mode", "constant");
  for (const char* known : {"constant", "reflect", "edge", "wrap"}) {
    if (mode == known) return;
  }
  c.fail("mode is '", mode, "'; it may be constant, reflect, edge or wrap");
}

void infer_pad(InferContext& c) {
  const DType dtype = c.input(0).dtype;
  check_mode(c);
  if (!c.ranked(0)) return c.output_unranked(0, dtype);
  Dims out = c.input(0).shape;
  const auto pads = c.constant_ints(1);
  std::optional<std::vector<std::int64_t>> axes;
  if (c.has_input(3)) {
    axes = c.constant_ints(3);
  } else {
    axes.emplace(out.size());
    std::iota(axes->begin(), axes->end(), 0);
  }
  if (!pads || !axes) return c.output(0, dtype, Dims(out.size(), kDynamic));
  const std::size_t n = axes->size();
  if (pads->size() != 2 * n) c.fail(pads->size(), " pads for ", n, " axes");
  marked_axes(c, *axes, out.size());
  for (std::size_t i = 0; i < n; ++i) {
    const std::int64_t before = (*pads)[i], after = (*pads)[i + n];
    if (std::min(before, after) < -kLargestDimension || std::max(before, after) > kLargestDimension) {
      c.fail("pads are ", to_string(AttrValue(*pads)));
    }
    std::int64_t& size = out[normalize_axis((*axes)[i], static_cast<std::int64_t>(out.size()))];
    if (size == kDynamic) continue;
    size += before + after;
    if (size < 0) c.fail("pads ", to_string(AttrValue(*pads)), " cut more than there is");
  }
  c.output(0, dtype, std::move(out));
}

}  // namespace

const OpSchema schema_Pad{.min_inputs = 2,
                          .max_inputs = 4,
                          .min_outputs = 1,
                          .max_outputs = 1,
                          .attrs = kPad,
                          .infer = infer_pad,
                          .moves = true};

}  // namespace quaver
