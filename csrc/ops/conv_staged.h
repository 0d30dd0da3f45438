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
    y_ = tail_.tables.add(table, isa, out);
    return true;
  }

  bool absorb_function(const RealFunction& function, ValueId out) override {
    if constexpr (kBytes) {
      if (args_.output != kernels::Output::f32) return false;
    }
    if (!tail_.reals.add(function)) return false;
    y_ = out;
    return true;
  }

  bool absorb_rounding(const ByteRounding& rounding, ValueId out) override {
    if (y_element_ != sizeof(float) || residual_ != kNone || !tail_.reals.add(rounding)) return false;
    y_ = out;
    y_element_ = 1;
    tail_.tile = align_up(this->scratch);
    this->scratch = tail_.tile + most_results() * sizeof(float);
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
    args_.r_stride = g_.o * sizeof(Output);
    info.kernel = kernel.name;
    info.isa = kernel.isa;
    info.macs = g_.images * g_.pixels() * g_.o * g_.taps() * g_.depth();
  }

  // Runs `call`, whose results begin at this pixel of all images and this channel.
  void multiply(Args& call, const RunContext& context, std::size_t pixel, std::size_t channel) const {
    const std::size_t place = pixel * g_.o + channel;
    if (residual_ != kNone) call.r = context.as<Output>(residual_) + place;
    tail_.run(kernel_, call, context, y_, place * y_element_, g_.o * y_element_);
  }

  // How many rows of results, of so many columns, stay in the nearest cache where they are not the output yet.
  std::size_t near_rows(std::size_t columns) const { return tail_.reals.rows(columns); }
  // The most that one call of the kernel makes.
  virtual std::size_t most_results() const = 0;

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
  ResultTail tail_;
};

}  // namespace quaver
