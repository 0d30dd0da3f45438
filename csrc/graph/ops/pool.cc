// MaxPool, AveragePool, and where MaxPool finds its maxima: x [N, H, W, C].
#include "graph/ops/common.h"
#include "graph/window.h"

namespace quaver {
namespace {

constexpr AttrSpec kPool[] = {{"kernel_shape", AttrKind::ints},  {"strides", AttrKind::ints}, {"pads", AttrKind::ints},
                              {"dilations", AttrKind::ints},     {"ceil_mode", AttrKind::i},  {"auto_pad", AttrKind::s},
                              {"count_include_pad", AttrKind::i}};

void output_pool(InferContext& c, DType dtype) {
  c.expect_rank(0, 4);
  const std::vector<std::int64_t> kernel = c.attrs().ints("kernel_shape");
  if (kernel.size() != 2) c.fail("kernel_shape has ", kernel.size(), " values, expected 2");
  if (!c.ranked(0)) return c.output_unranked(0, dtype);
  const Dims& x = c.input(0).shape;
  const Window window = resolve_window(c.attrs(), x[1], x[2], kernel[0], kernel[1]);
  const bool ceil_mode = c.attrs().i("ceil_mode", 0) != 0;
  c.output(0, dtype, {x[0], window.out(0, x[1], ceil_mode), window.out(1, x[2], ceil_mode), x[3]});
}

void infer_max_pool(InferContext& c) { output_pool(c, c.input(0).dtype); }
void infer_indices(InferContext& c) { output_pool(c, DType::i64); }
void infer_average_pool(InferContext& c) { output_pool(c, c.real_dtype()); }

}  // namespace

const OpSchema schema_MaxPool{.min_inputs = 1,
                              .max_inputs = 1,
                              .min_outputs = 1,
                              .max_outputs = 1,
                              .attrs = kPool,
                              .infer = infer_max_pool,
                              .moves = true};
const OpSchema schema_MaxPoolIndices{1, 1, 1, 1, kPool, infer_indices};
const OpSchema schema_AveragePool{1, 1, 1, 1, kPool, infer_average_pool};

}  // namespace quaver
