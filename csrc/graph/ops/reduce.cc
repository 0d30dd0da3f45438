// Reduce*: over axes given as an attribute.
#include "graph/ops/common.h"

namespace quaver {
namespace {

constexpr AttrSpec kReduce[] = {
    {"axes", AttrKind::ints}, {"keepdims", AttrKind::i}, {"noop_with_empty_axes", AttrKind::i}};

void infer_reduce(InferContext& c) {
  if (!c.ranked(0)) return c.output_unranked(0, c.real_dtype());
  const Dims& x = c.input(0).shape;
  const std::vector<std::int64_t> axes = c.attrs().ints("axes");
  std::vector<bool> reduced = marked_axes(c, axes, x.size());
  if (axes.empty() && !c.attrs().i("noop_with_empty_axes", 0)) reduced.assign(x.size(), true);
  const bool keep = c.attrs().i("keepdims", 1) != 0;
  Dims out;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!reduced[i]) {
      out.push_back(x[i]);
    } else if (keep) {
      out.push_back(1);
    }
  }
  c.output(0, c.real_dtype(), std::move(out));
}

}  // namespace

const OpSchema schema_ReduceMean{1, 1, 1, 1, kReduce, infer_reduce};
const OpSchema schema_ReduceMax{1, 1, 1, 1, kReduce, infer_reduce};
const OpSchema schema_ReduceSum{1, 1, 1, 1, kReduce, infer_reduce};
const OpSchema schema_ReduceMin{1, 1, 1, 1, kReduce, infer_reduce};
const OpSchema schema_ReduceProd{1, 1, 1, 1, kReduce, infer_reduce};
const OpSchema schema_ReduceL1{1, 1, 1, 1, kReduce, infer_reduce};
const OpSchema schema_ReduceL2{1, 1, 1, 1, kReduce, infer_reduce};
const OpSchema schema_ReduceLogSum{1, 1, 1, 1, kReduce, infer_reduce};
const OpSchema schema_ReduceLogSumExp{1, 1, 1, 1, kReduce, infer_reduce};
const OpSchema schema_ReduceSumSquare{1, 1, 1, 1, kReduce, infer_reduce};

}  // namespace quaver
