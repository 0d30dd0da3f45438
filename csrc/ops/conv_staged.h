// A convolution whose units bring their rows into another form before they are multiplied.
#pragma once

#include <utility>
#include <vector>

#include "ops/conv_weights.h"

namespace quaver {

template <class Family>
class StagedConv : public Step {
 public:
  bool absorb_table(std::span<const std::uint8_t> table, IsaSet isa, ValueId out) override {
    if (!kBytes || y_element_ != 1) return false;
    y_ = tail_.add(table, isa, out);
    return true;
  }

  bool absorb_function(const RealFunction& function, ValueId out) override {
    if constexpr (kBytes) {
      if (args_.output != kernels::Output::f32) return false;
    }
    if (!reals_.add(function)) return false;
    y_ = out;
    return true;
  }

  ValueId overwrites() const override { return kBytes ? residual_ : kNone; }

 protected:
  using Args = typename Family::Args;
  using Output = typename Family::Output;

  // Takes over what prepare() has filled in.
  StagedConv(const ConvGeometry& geometry, GemmStep<Family>& made, const typename Family::Kernel& kernel)
      : g_(geometry), zero_(made.pad[0]), kernel_(kernel), args_(made.args), x_(made.x) {
    bias_ = std::move(made.bias), scale_ = std::move(made.scale);
    y_ = made.y, residual_ = made.residual, y_element_ = made.y_element;
    args_.n = g_.o;
    args_.bias = bias_.data();
    if constexpr (kBytes) args_.scale = scale_.data();
    args_.c_stride = g_.o * y_element_;
    args_.r_stride = g_.o * sizeof(Output);
    info.kernel = kernel.name;
    info.isa = kernel.isa;
    info.macs = g_.images * g_.pixels() * g_.o * g_.taps() * g_.depth();
  }

  // Runs `call`, whose results begin at this pixel of all images and this channel.
  void multiply(Args& call, const RunContext& context, std::size_t pixel, std::size_t channel) const {
    const std::size_t place = pixel * g_.o + channel;
    std::byte* const to = context.as<std::byte>(y_) + place * y_element_;
    call.c = reinterpret_cast<decltype(call.c)>(to);
    if (residual_ != kNone) call.r = context.as<Output>(residual_) + place;
    kernel_.run(call);
    tail_.run(context, place, call.m, call.n, g_.o);
    reals_.run(to, call.m, call.n, call.c_stride);
  }

  const ConvGeometry g_;
  const typename Family::Element zero_;  // the input's zero point
  const typename Family::Kernel& kernel_;
  Args args_;
  const ValueId x_;

 private:
  static constexpr bool kBytes = std::is_same_v<Family, U8Gemm>;

  std::vector<typename Family::Bias> bias_;
  std::vector<float> scale_;
  ValueId y_, residual_;
  std::size_t y_element_;
  TableTail tail_;
  RealTail reals_;
};

}  // namespace quaver
