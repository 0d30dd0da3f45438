// GridSample: x [N, C, spatial…], grid [N, out spatial…, axes] → [N, C, out spatial…]; channels first, as in ONNX.
#include "graph/ops/common.h"

namespace quaver {
namespace {

constexpr AttrSpec kGridSample[] = {
    {"mode", AttrKind::s}, {"padding_mode", AttrKind::s}, {"align_corners", AttrKind::i}};

void expect_one_of(const InferContext& c, const char* name, const char* otherwise,
                   std::initializer_list<const char*> allowed) {
  const std::string given = c.attrs().s(name, otherwise);
  for (const char* one : allowed) {
    if (given == one) return;
  }
  c.fail(name, " is '", given, "'");
}

void infer_grid_sample(InferContext& c) {
  for (std::size_t i : {0, 1}) expect_dtype(c, i, {DType::f32});
  expect_one_of(c, "mode", "linear", {"linear", "nearest", "cubic"});
  expect_one_of(c, "padding_mode", "zeros", {"zeros", "border", "reflection"});
  if (!c.ranked(0) || !c.ranked(1)) return c.output_unranked(0, DType::f32);
  const Dims &x = c.input(0).shape, &grid = c.input(1).shape;
  if (x.size() < 3 || grid.size() != x.size()) c.fail("a grid of ", to_string(grid), " over ", to_string(x));
  if (contradicts(grid.back(), static_cast<std::int64_t>(x.size()) - 2) || contradicts(grid[0], x[0])) {
    c.fail("a grid of ", to_string(grid), " over ", to_string(x));
  }
  Dims out = {x[0], x[1]};
  out.insert(out.end(), grid.begin() + 1, grid.end() - 1);
  c.output(0, DType::f32, std::move(out));
}

}  // namespace

const OpSchema schema_GridSample{2, 2, 1, 1, kGridSample, infer_grid_sample};

}  // namespace quaver
