#include "ops/conv_window_rows.h"

#include <algorithm>
#include <cstring>

#include "ops/conv_weights.h"

namespace quaver {
namespace {

constexpr std::size_t kFewChannels = 8;

// Of a row with its padding.
std::size_t strip_elements(const ConvGeometry& g) {
  const auto stride = static_cast<std::size_t>(g.window.strides[1]),
             before = static_cast<std::size_t>(g.window.pads[1]);
  return g.c * std::max((g.ow - 1) * stride + g.kw, g.w + before);
}

// Strides and padding may be of any size; offsets are of 32 bits.
bool has_window_rows(const ConvGeometry& g) {
  return g.group == 1 && g.c < kFewChannels && g.kw > 1 && g.window.dilations[1] == 1 && g.ow > 0 &&
         strip_elements(g) <= std::size_t{INT32_MAX} / sizeof(std::uint16_t) / g.kh;
}

// A unit is one row of output pixels of one image.
class WindowRowStep final : public Step {
 public:
  WindowRowStep(LowerContext& context, const ConvGeometry& g, GemmStep<Bf16Gemm>& made, const float* weights)
      : g_(g),
        kernel_(made.kernel),
        args_(made.args),
        bias_(std::move(made.bias)),
        x_(made.x),
        y_(made.y),
        residual_(made.residual),
        strip_(strip_elements(g)) {
    weights_ = pack_rows<Bf16Gemm>(context.cache, weights, {weights}, g.kh, g.kw * g.c, 0, g.o, all_taps(g.kh));
    args_.m = g.ow;
    args_.n = g.o;
    args_.k = g.kw * g.c;
    args_.taps = g.kh;
    args_.w = reinterpret_cast<const std::uint16_t*>(weights_->data());
    args_.bias = bias_.data();
    args_.c_stride = args_.r_stride = g.o * sizeof(float);
    for (std::size_t column = 0; column < g.ow; ++column) {
      for (std::size_t ky = 0; ky < g.kh; ++ky) {
        offsets_.push_back(static_cast<std::int32_t>((ky * strip_ + column * stride(1) * g.c) * sizeof(std::uint16_t)));
      }
    }
    scratch = g.kh * strip_ * sizeof(std::uint16_t);
    units = g.images * g.oh;
    info.kernel = kernel_->name;
    info.isa = kernel_->isa;
    info.macs = g.images * g.pixels() * g.o * g.taps() * g.c;
  }

  void run(const RunContext& context, std::size_t first, std::size_t last) const override {
    auto* strips = reinterpret_cast<std::uint16_t*>(context.scratch);
    kernels::GemmBf16Args call = args_;
    call.a = strips;
    call.offsets = offsets_.data();
    for (std::size_t unit = first; unit < last; ++unit) {
      const float* image = context.as<float>(x_) + unit / g_.oh * g_.h * g_.w * g_.c;
      for (std::size_t ky = 0; ky < g_.kh; ++ky) {
        const std::int64_t row =
            static_cast<std::int64_t>(unit % g_.oh * stride(0) + ky * dilation()) - g_.window.pads[0];
        fill(image, row, strips + ky * strip_);
      }
      const std::size_t place = unit * g_.ow * g_.o;
      call.c = context.as<float>(y_) + place;
      if (residual_ != kNone) call.r = context.as<float>(residual_) + place;
      kernel_->run(call);
    }
  }

 private:
  std::size_t stride(std::size_t axis) const { return static_cast<std::size_t>(g_.window.strides[axis]); }
  std::size_t dilation() const { return static_cast<std::size_t>(g_.window.dilations[0]); }
  std::size_t before() const { return static_cast<std::size_t>(g_.window.pads[1]); }

  // A row of the image between zeros; zeros alone where there is none.
  void fill(const float* image, std::int64_t row, std::uint16_t* strip) const {
    const bool inside = row >= 0 && row < static_cast<std::int64_t>(g_.h);
    const std::size_t left = before() * g_.c, width = inside ? g_.w * g_.c : 0;
    std::fill_n(strip, left, std::uint16_t{0});
    if (inside) kernel_->round(image + static_cast<std::size_t>(row) * width, width, strip + left);
    std::fill(strip + left + width, strip + strip_, std::uint16_t{0});
  }

  ConvGeometry g_;
  const kernels::GemmBf16Kernel* kernel_;
  kernels::GemmBf16Args args_;
  std::vector<float> bias_;
  ValueId x_, y_, residual_;
  std::size_t strip_;  // elements of a row with its padding
  std::vector<std::int32_t> offsets_;
  PackedBlock weights_;
};

}  // namespace

std::unique_ptr<Step> lower_conv_window_rows(LowerContext& context, const ConvGeometry& g) {
  if (!has_window_rows(g)) return nullptr;
  GemmStep<Bf16Gemm> made;
  WeightPlanes weights;
  const auto planes = prepare(context, g, made, weights);
  return std::make_unique<WindowRowStep>(context, g, made, planes[0]);
}

}  // namespace quaver
