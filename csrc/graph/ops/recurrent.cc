// LSTM, GRU, RNN: one direction of a recurrent layer, whose products with the input are made before it.
//   gates [T, B, G·H] (x · Wᵀ and the biases), R [G·H, H], lengths [B]?, h0 [B, H]?, then
//   LSTM: c0 [B, H]?, peepholes [3·H]?        GRU: the bias [H] of h · Rᵀ for the new state, which needs
//   linear_before_reset → every h [T, B, H], the last h [B, H], LSTM: the last c [B, H]
#include "graph/ops/common.h"

namespace quaver {
namespace {

constexpr AttrSpec kRecurrent[] = {
    {"reverse", AttrKind::i},
    {"activations", AttrKind::s},
    {"alphas", AttrKind::floats},
    {"betas", AttrKind::floats},
    {"clip", AttrKind::f},
    {"input_forget", AttrKind::i},
    {"linear_before_reset", AttrKind::i},
};

void expect_shape(const InferContext& c, std::size_t i, const Dims& shape) {
  c.expect_rank(i, shape.size());
  if (!c.ranked(i)) return;
  for (std::size_t k = 0; k < shape.size(); ++k) {
    if (contradicts(c.input(i).shape[k], shape[k])) {
      c.fail("'", c.input(i).name, "' has shape ", to_string(c.input(i).shape), ", expected ", to_string(shape));
    }
  }
}

void infer_recurrent(InferContext& c, std::int64_t gates, std::int64_t outputs) {
  c.expect_rank(0, 3);
  c.expect_rank(1, 2);
  for (std::size_t i : {0, 1}) expect_dtype(c, i, {DType::f32});
  std::int64_t hidden = kDynamic, steps = kDynamic, batch = kDynamic;
  if (c.ranked(1)) {
    hidden = c.input(1).shape[1];
    if (hidden != kDynamic) expect_shape(c, 1, {gates * hidden, hidden});
  }
  if (c.ranked(0)) {
    steps = c.input(0).shape[0], batch = c.input(0).shape[1];
    if (hidden != kDynamic) expect_shape(c, 0, {steps, batch, gates * hidden});
  }
  if (c.has_input(2)) {
    expect_dtype(c, 2, {DType::i32});
    expect_shape(c, 2, {batch});
  }
  for (std::size_t i = 3; i < c.inputs(); ++i) {
    if (!c.has_input(i)) continue;
    expect_dtype(c, i, {DType::f32});
    const bool vector = outputs == 2 ? i == 4 : i == 5;
    expect_shape(c, i, vector ? Dims{outputs == 2 || hidden == kDynamic ? hidden : 3 * hidden} : Dims{batch, hidden});
  }
  c.output(0, DType::f32, {steps, batch, hidden});
  for (std::int64_t i = 1; i < outputs; ++i) c.output(static_cast<std::size_t>(i), DType::f32, {batch, hidden});
}

void infer_lstm(InferContext& c) { infer_recurrent(c, 4, 3); }
void infer_gru(InferContext& c) { infer_recurrent(c, 3, 2); }
void infer_rnn(InferContext& c) { infer_recurrent(c, 1, 2); }

}  // namespace

const OpSchema schema_LSTM{2, 6, 3, 3, kRecurrent, infer_lstm};
const OpSchema schema_GRU{2, 5, 2, 2, kRecurrent, infer_gru};
const OpSchema schema_RNN{2, 4, 2, 2, kRecurrent, infer_rnn};

}  // namespace quaver
