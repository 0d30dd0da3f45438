// Slice: x, starts, ends, axes?, steps?.
#include <algorithm>
#include <numeric>

#include "graph/ops/common.h"

namespace quaver {
namespace {

// Elements from `start` to `end` (exclusive) by `step`, each as ONNX wraps and clamps it.
std::int64_t sliced(std::int64_t size, std::int64_t start, std::int64_t end, std::int64_t step) {
  if (size == kDynamic || size == 0) return size;
  const auto wrap = [size](std::int64_t at) { return at < 0 ? std::max<std::int64_t>(at, -size - 1) + size : at; };
  if (step > 0) {
    start = std::clamp<std::int64_t>(wrap(start), 0, size);
    end = std::clamp<std::int64_t>(wrap(end), 0, size);
    return end <= start ? 0 : (end - start - 1) / step + 1;
  }
  start = std::clamp<std::int64_t>(wrap(start), 0, size - 1);
  end = std::clamp<std::int64_t>(wrap(end), -1, size - 1);
  if (start <= end) return 0;
  return step < -size ? 1 : (start - end - 1) / -step + 1;
}

void infer_slice(InferContext& c) {
  const DType dtype = c.input(0).dtype;
  if (!c.ranked(0)) return c.output_unranked(0, dtype);
  const Dims& x = c.input(0).shape;
  const auto starts = c.constant_ints(1), ends = c.constant_ints(2);
  std::optional<std::vector<std::int64_t>> axes, steps;
  if (c.has_input(3)) axes = c.constant_ints(3);
  if (c.has_input(4)) steps = c.constant_ints(4);
  if ((c.has_input(3) && !axes) || !starts || !ends || (c.has_input(4) && !steps)) {
    return c.output(0, dtype, Dims(x.size(), kDynamic));
  }
  if (!axes) {
    axes.emplace(starts->size());
    std::iota(axes->begin(), axes->end(), 0);
  }
  if (!steps) steps.emplace(starts->size(), 1);
  const std::size_t n = axes->size();
  if (starts->size() != n || ends->size() != n || steps->size() != n) {
    c.fail(starts->size(), " starts, ", ends->size(), " ends and ", steps->size(), " steps for ", n, " axes");
  }
  marked_axes(c, *axes, x.size());
  Dims out = x;
  for (std::size_t i = 0; i < n; ++i) {
    if ((*steps)[i] == 0) c.fail("a step is 0");
    const std::int64_t axis = normalize_axis((*axes)[i], static_cast<std::int64_t>(x.size()));
    out[axis] = sliced(x[axis], (*starts)[i], (*ends)[i], (*steps)[i]);
  }
  c.output(0, dtype, std::move(out));
}

}  // namespace

const OpSchema schema_Slice{.min_inputs = 3,
                            .max_inputs = 5,
                            .min_outputs = 1,
                            .max_outputs = 1,
                            .attrs = {},
                            .infer = infer_slice,
                            .moves = true};

}  // namespace quaver
