#include "ops/matmul_dynamic.h"

#include "kernels/gemm/pack_kn.h"
#include "ops/epilogue.h"
#include "ops/gemm_step.h"

namespace quaver {
namespace {

// Hands out pieces of a worker's scratch; with a null base it only measures.
class Carver {
 public:
  explicit Carver(std::byte* base) : base_(base) {}
  template <class T>
  T* take(std::size_t n) {
    std::byte* piece = base_ ? base_ + used_ : nullptr;
    used_ += align_up(n * sizeof(T));
    return reinterpret_cast<T*>(piece);
  }
  std::size_t used() const { return used_; }

 private:
  std::byte* base_;
  std::size_t used_ = 0;
};

// A unit is one batch. Family: F32Gemm or Bf16Gemm.
template <class Family>
class FloatStep final : public Step {
 public:
  FloatStep(LowerContext& context, const MatMulShape& shape) : shape_(shape) {
    kernel_ = &Family::pick(context.isa, shape.m, shape.n, shape.k);
    set_epilogue_f32(context, args_);
    bias_.assign(pad_to_panel(shape.n), 0.0F);
    if (context.has_input(2)) std::ranges::copy(context.constant<float>(2), bias_.begin());
    a_ = context.in(0), b_ = context.in(1), y_ = context.out();
    if (context.has_input(kResidual)) r_ = context.in(kResidual);
    args_.m = shape.m, args_.n = shape.n, args_.k = shape.k;
    args_.a_stride = shape.k * sizeof(Element);
    args_.c_stride = args_.r_stride = shape.n * sizeof(float);
    args_.bias = bias_.data();
    units = shape.a.size();
    scratch = Scratch(nullptr, shape).bytes;
    info = {kernel_->name, kernel_->isa, std::int64_t(units * shape.m * shape.n * shape.k)};
  }

  void run(const RunContext& context, std::size_t first, std::size_t last) const override {
    for (std::size_t batch = first; batch < last; ++batch) {
      const Scratch room(context.scratch, shape_);
      Family::pack_kn(shape_.n, shape_.k, context.as<float>(b_) + shape_.b[batch], shape_.n, room.packed);
      typename Family::Args call = args_;
      const float* a = context.as<float>(a_) + shape_.a[batch];
      if constexpr (kRounds) {
        kernel_->round(a, shape_.m * shape_.k, room.rounded);
        call.a = room.rounded;
      } else {
        call.a = a;
      }
      call.w = room.packed;
      const std::size_t place = batch * shape_.m * shape_.n;
      call.c = context.as<float>(y_) + place;
      if (r_ != kNone) call.r = context.as<float>(r_) + place;
      kernel_->run(call);
    }
  }

 private:
  using Element = typename Family::Element;
  static constexpr bool kRounds = !std::is_same_v<Element, float>;

  struct Scratch {
    Scratch(std::byte* base, const MatMulShape& shape) {
      Carver carver(base);
      packed = carver.take<Element>(Family::packed_bytes(shape.n, 1, shape.k) / sizeof(Element));
      rounded = carver.take<Element>(kRounds ? shape.m * shape.k : 0);
      bytes = carver.used();
    }
    Element *packed, *rounded;
    std::size_t bytes;
  };

  MatMulShape shape_;
  const typename Family::Kernel* kernel_;
  typename Family::Args args_;
  std::vector<float> bias_;
  ValueId a_, b_, y_, r_ = kNone;
};

// Σ (a − za)(b − zb), with b brought to s8 and zb with it: the zero points' terms are za·Σb over a column, zb·Σa over
// a row, and k·za·zb.
class U8Step final : public Step {
 public:
  U8Step(LowerContext& context, const MatMulShape& shape, bool integer) : shape_(shape), integer_(integer) {
    kernel_ = &kernels::pick_gemm_u8(context.isa, shape.m, shape.n, shape.k);
    a_ = context.in(0), b_ = context.in(1), y_ = context.out();
    flip_ = context.input(1).dtype == DType::s8 ? 0x80 : 0;
    bias_.assign(pad_to_panel(shape.n), 0);
    if (integer) {
      args_.output = kernels::Output::i32;
      if (context.has_input(2)) za_value_ = context.in(2);
      if (context.has_input(3)) {
        if (count(context.input(3).shape) != 1) context.fail("its right-hand side has a zero point per column");
        zb_value_ = context.in(3);
      }
    } else {
      if (context.has_input(2)) std::ranges::copy(context.constant<std::int32_t>(2), bias_.begin());
      if (context.has_input(kResidual)) r_ = context.in(kResidual);
      za_ = context.zero_point(context.input(0));
      zb_ = context.zero_point(context.input(1));
      const float y_scale = set_epilogue_u8_or_f32(context, args_);
      const float scale = context.scale(context.input(0)) * context.scale(context.input(1)) / y_scale;
      scale_.assign(pad_to_panel(shape.n), scale);
    }
    const std::size_t element = size_of(context.output().dtype);
    args_.m = shape.m, args_.n = shape.n, args_.k = shape.k;
    args_.a_stride = shape.k;
    args_.c_stride = shape.n * element;
    args_.r_stride = shape.n;
    args_.scale = scale_.data();
    units = shape.a.size();
    scratch = Scratch(nullptr, shape).bytes;
    info = {kernel_->name, kernel_->isa, std::int64_t(units * shape.m * shape.n * shape.k)};
  }

  void run(const RunContext& context, std::size_t first, std::size_t last) const override {
    const Scratch room(context.scratch, shape_);
    const std::int32_t za = za_value_ == kNone ? za_ : *context.as<std::uint8_t>(za_value_);
    const std::int32_t zb =
        (zb_value_ == kNone ? zb_ + (flip_ ? 128 : 0) : *context.as<std::uint8_t>(zb_value_) ^ flip_) - 128;
    for (std::size_t batch = first; batch < last; ++batch) {
      const std::uint8_t* a = context.as<std::uint8_t>(a_) + shape_.a[batch];
      const std::uint8_t* b = context.as<std::uint8_t>(b_) + shape_.b[batch];
      if (flip_) {
        for (std::size_t i = 0; i < shape_.k * shape_.n; ++i) room.flipped[i] = b[i] ^ 0x80;
        b = room.flipped;
      }
      kernels::pack_gemm_u8_kn(shape_.n, shape_.k, b, shape_.n, room.packed, room.sums);
      for (std::size_t j = 0; j < pad_to_panel(shape_.n); ++j) {
        room.bias[j] = bias_[j] - za * (room.sums[j] - static_cast<std::int32_t>(shape_.k) * zb);
        room.col_zero[j] = zb;
      }
      for (std::size_t i = 0; i < shape_.m; ++i) {
        std::int32_t sum = 0;
        for (std::size_t p = 0; p < shape_.k; ++p) sum += a[i * shape_.k + p];
        room.row_sum[i] = sum;
      }
      kernels::GemmU8Args call = args_;
      call.a = a;
      call.w = room.packed;
      call.bias = room.bias;
      call.row_sum = room.row_sum;
      call.col_zero = room.col_zero;
      const std::size_t place = batch * shape_.m;
      call.c = context.as<std::byte>(y_) + place * args_.c_stride;
      if (r_ != kNone) call.r = context.as<std::uint8_t>(r_) + place * args_.r_stride;
      kernel_->run(call);
    }
  }

 private:
  struct Scratch {
    Scratch(std::byte* base, const MatMulShape& shape) {
      Carver carver(base);
      packed = carver.take<std::int8_t>(kernels::packed_size({}, shape.n, 1, shape.k));
      sums = carver.take<std::int32_t>(pad_to_panel(shape.n));
      bias = carver.take<std::int32_t>(pad_to_panel(shape.n));
      col_zero = carver.take<std::int32_t>(pad_to_panel(shape.n));
      row_sum = carver.take<std::int32_t>(shape.m);
      flipped = carver.take<std::uint8_t>(shape.k * shape.n);
      bytes = carver.used();
    }
    std::int8_t* packed;
    std::int32_t *sums, *bias, *col_zero, *row_sum;
    std::uint8_t* flipped;
    std::size_t bytes;
  };

  MatMulShape shape_;
  bool integer_;
  const kernels::GemmU8Kernel* kernel_;
  kernels::GemmU8Args args_;
  std::vector<std::int32_t> bias_;
  std::vector<float> scale_;
  std::int32_t za_ = 0, zb_ = 0;
  std::uint8_t flip_ = 0;
  ValueId a_, b_, y_, r_ = kNone, za_value_ = kNone, zb_value_ = kNone;
};

}  // namespace

std::unique_ptr<Step> lower_matmul_dynamic(LowerContext& context, const MatMulShape& shape) {
  if (context.input(0).dtype == DType::f32) {
    if (context.bf16()) return std::make_unique<FloatStep<Bf16Gemm>>(context, shape);
    return std::make_unique<FloatStep<F32Gemm>>(context, shape);
  }
  return std::make_unique<U8Step>(context, shape, context.node.op == Op::MatMulInteger);
}

}  // namespace quaver
