// ArgMax, ArgMin, TopK, LogSoftmax, Hardmax, CumSum, CumProd, LpNormalization; PairwiseCoupling, which makes k
// probabilities of those that each of k classes has against each later one.
#include "graph/ops/common.h"

namespace quaver {
namespace {

constexpr AttrSpec kAxis[] = {{"axis", AttrKind::i}};
constexpr AttrSpec kArg[] = {{"axis", AttrKind::i}, {"keepdims", AttrKind::i}, {"select_last_index", AttrKind::i}};
constexpr AttrSpec kTopK[] = {{"axis", AttrKind::i}, {"largest", AttrKind::i}, {"sorted", AttrKind::i}};
constexpr AttrSpec kScan[] = {{"axis", AttrKind::i}, {"exclusive", AttrKind::i}, {"reverse", AttrKind::i}};
constexpr AttrSpec kNorm[] = {{"axis", AttrKind::i}, {"p", AttrKind::i}};

void infer_along(InferContext& c) {
  if (c.ranked(0)) axis_of(c, "axis", -1, c.input(0).shape.size());
  output_same_shape(c, c.input(0).dtype);
}

void infer_arg(InferContext& c) {
  if (!c.ranked(0)) return c.output_unranked(0, DType::i64);
  Dims out = c.input(0).shape;
  const auto axis = static_cast<std::ptrdiff_t>(axis_of(c, "axis", 0, out.size()));
  if (c.attrs().i("keepdims", 1)) {
    out[static_cast<std::size_t>(axis)] = 1;
  } else {
    out.erase(out.begin() + axis);
  }
  c.output(0, DType::i64, std::move(out));
}

void infer_top_k(InferContext& c) {
  const DType dtype = c.input(0).dtype;
  const auto k = c.constant_ints(1);
  if (k && k->size() != 1) c.fail("k holds ", k->size(), " numbers");
  if (!c.ranked(0)) {
    c.output_unranked(0, dtype);
    return c.output_unranked(1, DType::i64);
  }
  Dims out = c.input(0).shape;
  std::int64_t& size = out[axis_of(c, "axis", -1, out.size())];
  if (k && ((*k)[0] < 0 || (size != kDynamic && (*k)[0] > size))) c.fail("the ", (*k)[0], " best of ", size);
  size = k ? (*k)[0] : kDynamic;
  c.output(0, dtype, out);
  c.output(1, DType::i64, std::move(out));
}

void infer_coupling(InferContext& c) {
  if (!c.ranked(0)) return c.output_unranked(0, c.input(0).dtype);
  Dims out = c.input(0).shape;
  std::int64_t& last = out[axis_of(c, "axis", -1, out.size())];
  if (last != kDynamic) {
    const std::int64_t pairs = last;
    last = 2;
    while (last * (last - 1) / 2 < pairs) ++last;
    if (last * (last - 1) / 2 != pairs) c.fail(pairs, " are not the pairs of some classes");
  }
  c.output(0, c.input(0).dtype, std::move(out));
}

}  // namespace

const OpSchema schema_ArgMax{1, 1, 1, 1, kArg, infer_arg};
const OpSchema schema_ArgMin{1, 1, 1, 1, kArg, infer_arg};
const OpSchema schema_TopK{2, 2, 2, 2, kTopK, infer_top_k};
const OpSchema schema_LogSoftmax{1, 1, 1, 1, kAxis, infer_along};
const OpSchema schema_Hardmax{1, 1, 1, 1, kAxis, infer_along};
const OpSchema schema_CumSum{1, 1, 1, 1, kScan, infer_along};
const OpSchema schema_CumProd{1, 1, 1, 1, kScan, infer_along};
const OpSchema schema_LpNormalization{1, 1, 1, 1, kNorm, infer_along};
const OpSchema schema_PairwiseCoupling{1, 1, 1, 1, kAxis, infer_coupling};

}  // namespace quaver
