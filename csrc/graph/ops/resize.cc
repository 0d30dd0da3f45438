// Resize: x, roi?, scales?, sizes?.
#include "graph/ops/common.h"
#include "graph/resize_shape.h"

namespace quaver {
namespace {

constexpr AttrSpec kResize[] = {{"mode", AttrKind::s},
                                {"coordinate_transformation_mode", AttrKind::s},
                                {"nearest_mode", AttrKind::s},
                                {"cubic_coeff_a", AttrKind::f},
                                {"exclude_outside", AttrKind::i},
                                {"keep_aspect_ratio_policy", AttrKind::s},
                                {"antialias", AttrKind::i},
                                {"extrapolation_value", AttrKind::f},
                                {"axes", AttrKind::ints}};

void infer_resize(InferContext& c) {
  if (c.has_input(2) == c.has_input(3)) c.fail("exactly one of scales and sizes must be given");
  if (!c.ranked(0)) return c.output_unranked(0, c.real_dtype());
  std::optional<std::vector<float>> scales;
  std::optional<std::vector<std::int64_t>> sizes;
  if (c.has_input(2)) scales = c.constant_floats(2);
  if (c.has_input(3)) sizes = c.constant_ints(3);
  c.output(0, c.real_dtype(), resize_output(c.input(0).shape, c.attrs(), scales, sizes));
}

}  // namespace

const OpSchema schema_Resize{1, 4, 1, 1, kResize, infer_resize};

}  // namespace quaver
