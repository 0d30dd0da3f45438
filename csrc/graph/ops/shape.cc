// Shape: the dimensions [start, end) of x as int64.
#include <algorithm>

#include "graph/ops/common.h"

namespace quaver {
namespace {

constexpr AttrSpec kShape[] = {{"start", AttrKind::i}, {"end", AttrKind::i}};

void infer_shape(InferContext& c) {
  if (!c.ranked(0)) return c.output(0, DType::i64, {kDynamic});
  const auto rank = static_cast<std::int64_t>(c.input(0).shape.size());
  const auto clamp = [rank](std::int64_t at) { return std::clamp<std::int64_t>(at < 0 ? at + rank : at, 0, rank); };
  const std::int64_t start = clamp(c.attrs().i("start", 0)), end = clamp(c.attrs().i("end", rank));
  c.output(0, DType::i64, {std::max<std::int64_t>(end - start, 0)});
}

}  // namespace

const OpSchema schema_Shape{1, 1, 1, 1, kShape, infer_shape};

}  // namespace quaver
