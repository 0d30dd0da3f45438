#include "kernels/attention/attention.h"

#include <algorithm>
#include <cmath>

#include "ops/requantize.h"

namespace quaver {
namespace {

// Where the heads of an operand lie: [batch, heads, tokens, depth] or [batch, tokens, heads · depth].
struct Layout {
  std::size_t batch, heads, tokens, depth;
  std::size_t batch_stride, head_stride, token_stride;  // in elements

  Layout(const Dims& shape, std::size_t head_count) : batch(shape[0]), heads(head_count) {
    const bool flat = shape.size() == 3;
    tokens = shape[flat ? 1 : 2];
    depth = flat ? shape[2] / heads : shape[3];
    batch_stride = heads * tokens * depth;
    head_stride = flat ? depth : tokens * depth;
    token_stride = flat ? heads * depth : depth;
  }
  std::size_t at(std::size_t b, std::size_t head) const { return b * batch_stride + head * head_stride; }
};

// A unit is one head of one batch.
class AttentionStep final : public Step {
 public:
  AttentionStep(const LowerContext& context, std::size_t heads, std::size_t kv_heads)
      : q_(context.input(0).shape, heads),
        k_(context.input(1).shape, kv_heads),
        v_(context.input(2).shape, kv_heads),
        y_(context.output().shape, heads),
        f32_(context.input(0).dtype == DType::f32),
        kind_(kind_of(context)),
        kernel_(kernels::pick_attention(context.isa, kind_)) {
    for (std::size_t i = 0; i < 3; ++i) ids_[i] = context.in(i);
    out_ = context.out();
    args_.rows = q_.tokens;
    args_.keys = k_.tokens;
    args_.depth = q_.depth;
    args_.v_depth = v_.depth;
    args_.q_stride = q_.token_stride;
    args_.c_stride = y_.token_stride;
    args_.scale = static_cast<float>(context.node.attrs.f("scale", 1 / std::sqrt(double(q_.depth))));
    args_.nan_is_zero = context.node.attrs.i("nan_is_zero", 0) != 0;
    args_.hidden_is_zero = context.node.attrs.i("hidden_is_zero", 0) != 0;
    if (!f32_) take_quantization(context);
    if (context.has_input(3)) take_mask(context);
    packed_k_ = align_up(kernels::attention_packed_k(kind_, k_.tokens, k_.depth));
    packed_v_ = align_up(kernels::attention_packed_v(kind_, v_.tokens, v_.depth));
    scratch = packed_k_ + packed_v_ + kernels::attention_scratch(kind_, k_.tokens, q_.depth, v_.depth);
    units = q_.batch * heads;
    const std::size_t scores = units * q_.tokens * k_.tokens;
    info = {kernel_.name, kernel_.isa, static_cast<std::int64_t>(scores * (q_.depth + v_.depth))};
  }

  void run(const RunContext& context, std::size_t first, std::size_t last) const override {
    for (std::size_t unit = first; unit < last; ++unit) {
      const std::size_t batch = unit / q_.heads, head = unit % q_.heads, kv = head / (q_.heads / k_.heads);
      // Heads that share keys find them packed.
      if (unit == first || head % (q_.heads / k_.heads) == 0) pack(context, batch, kv);
      kernels::AttentionArgs args = args_;
      args.q = at(context, ids_[0], q_.at(batch, head), element());
      args.k = context.scratch;
      args.v = context.scratch + packed_k_;
      args.scratch = context.scratch + packed_k_ + packed_v_;
      if (mask_ != kNone) args.mask = context.as<const float>(mask_) + batch * mask_batch_ + head * mask_head_;
      args.c = at(context, out_, y_.at(batch, head), args.c_u8 ? 1 : sizeof(float));
      kernel_.run(args);
    }
  }

 private:
  // For fewer rows than one tile holds, bf16 takes longer to begin than it saves.
  static constexpr std::size_t kFewTokens = 16;
  kernels::AttentionKind kind_of(const LowerContext& context) const {
    if (!f32_) return kernels::AttentionKind::u8;
    const bool few = std::min(q_.tokens, k_.tokens) <= kFewTokens;
    return context.bf16() && !few ? kernels::AttentionKind::bf16 : kernels::AttentionKind::f32;
  }

  std::size_t element() const { return f32_ ? sizeof(float) : 1; }
  static std::byte* at(const RunContext& context, ValueId id, std::size_t index, std::size_t size) {
    return context.as<std::byte>(id) + index * size;
  }

  void pack(const RunContext& context, std::size_t batch, std::size_t head) const {
    kernels::AttentionPackArgs args;
    args.keys = k_.tokens;
    args.depth = k_.depth;
    args.v_depth = v_.depth;
    args.k = at(context, ids_[1], k_.at(batch, head), element());
    args.v = at(context, ids_[2], v_.at(batch, head), element());
    args.k_stride = k_.token_stride;
    args.v_stride = v_.token_stride;
    args.packed_k = context.scratch;
    args.packed_v = context.scratch + packed_k_;
    kernel_.pack(args);
  }

  void take_quantization(const LowerContext& context) {
    const Value& y = context.output();
    args_.scale = context.scale(context.input(0)) * context.scale(context.input(1)) * args_.scale;
    args_.q_zero = context.zero_point(context.input(0));
    args_.v_zero = context.zero_point(context.input(2));
    args_.mul = context.scale(context.input(2));
    args_.c_u8 = y.dtype == DType::u8;
    if (!args_.c_u8) return;
    const ByteOutput out(context, y);
    args_.mul = args_.mul / out.scale;
    args_.zero = out.zero;
    args_.lo = out.lo;
    args_.hi = out.hi;
  }

  // The mask's shape meets [batch, heads, rows, keys] as NumPy would have it.
  void take_mask(const LowerContext& context) {
    mask_ = context.in(3);
    Dims shape = context.input(3).shape;
    while (shape.size() < 4) shape.insert(shape.begin(), 1);
    const std::size_t sizes[] = {q_.batch, q_.heads, q_.tokens, k_.tokens};
    std::size_t stride = 1, strides[4];
    for (std::size_t i = 4; i-- > 0;) {
      const auto size = static_cast<std::size_t>(shape[i]);
      if (size != sizes[i] && (size != 1 || i == 3)) {
        context.fail("the mask's shape ", to_string(context.input(3).shape), " does not fit the scores");
      }
      strides[i] = size == 1 ? 0 : stride;
      stride *= size;
    }
    mask_batch_ = strides[0], mask_head_ = strides[1];
    args_.mask_stride = strides[2];
  }

  Layout q_, k_, v_, y_;
  bool f32_;
  kernels::AttentionKind kind_;
  const kernels::AttentionKernel& kernel_;
  kernels::AttentionArgs args_;
  ValueId ids_[3], out_, mask_ = kNone;
  std::size_t mask_batch_ = 0, mask_head_ = 0, packed_k_, packed_v_;
};

}  // namespace

std::unique_ptr<Step> lower_Attention(LowerContext& context) {
  const auto heads = static_cast<std::size_t>(context.node.attrs.i("heads", 1));
  const auto kv_heads = static_cast<std::size_t>(context.node.attrs.i("kv_heads", static_cast<std::int64_t>(heads)));
  const DType dtype = context.input(0).dtype, out = context.output().dtype;
  for (std::size_t i = 0; i < 3; ++i) {
    const Value& value = context.input(i);
    if (value.dtype != dtype || (dtype != DType::f32 && !is_quantized(value))) {
      context.fail("'", value.name, "' is ", name_of(value.dtype), "; float32 or quantized uint8 is expected of all");
    }
    if (count(value.shape) == 0) context.fail("'", value.name, "' is empty: ", to_string(value.shape));
  }
  if (out != DType::f32 && (out != DType::u8 || dtype == DType::f32)) {
    context.fail("its result is ", name_of(out), " where its operands are ", name_of(dtype));
  }
  return std::make_unique<AttentionStep>(context, heads, kv_heads);
}

}  // namespace quaver
