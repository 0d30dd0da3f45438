#include "kernels/pool/pool.h"

#include "graph/window.h"
#include "ops/requantize.h"
#include "ops/row_step.h"
#include "ops/wide.h"

namespace quaver {
namespace {

using kernels::PoolKind;

struct Geometry {
  std::int64_t images, h, w, channels, oh, ow;
  Window window;

  explicit Geometry(const LowerContext& context) {
    const Dims &x = context.input(0).shape, &y = context.output().shape;
    const auto kernel = context.node.attrs.ints("kernel_shape");
    if (x.size() != 4 || kernel.size() != 2) {
      context.fail("expected [N, H, W, C] and a kernel of 2 sizes, got ", to_string(x), " and ", kernel.size());
    }
    images = x[0], h = x[1], w = x[2], channels = x[3], oh = y[1], ow = y[2];
    window = resolve_window(context.node.attrs, h, w, kernel[0], kernel[1]);
    const auto element = static_cast<std::int64_t>(size_of(context.input(0).dtype));
    if (count({h, w, channels, element}) > INT32_MAX) context.fail("one image passes 2 GiB");
    if (count({kernel[0], kernel[1]}) > 1 << 23) context.fail("its window is too large");
  }

  std::size_t taps() const { return static_cast<std::size_t>(window.kernel[0] * window.kernel[1]); }

  // use(oy, ox) of each output pixel.
  template <class Use>
  void each_pixel(Use use) const {
    for (std::int64_t oy = 0; oy < oh; ++oy) {
      for (std::int64_t ox = 0; ox < ow; ++ox) use(oy, ox);
    }
  }

  // use(y, x): the input coordinates of each tap of output pixel (oy, ox).
  template <class Use>
  void each_tap(std::int64_t oy, std::int64_t ox, Use use) const {
    for (std::int64_t ky = 0; ky < window.kernel[0]; ++ky) {
      for (std::int64_t kx = 0; kx < window.kernel[1]; ++kx) {
        use(oy * window.strides[0] - window.pads[0] + ky * window.dilations[0],
            ox * window.strides[1] - window.pads[1] + kx * window.dilations[1]);
      }
    }
  }

  bool inside(std::int64_t y, std::int64_t x) const { return y >= 0 && x >= 0 && y < h && x < w; }

  // Padding counts, but not what a window reaches beyond it in ceil_mode.
  bool inside_padded(std::int64_t y, std::int64_t x) const { return y < h + window.pads[2] && x < w + window.pads[3]; }
};

// A row is one row of output pixels.
class PoolStep final : public RowStep {
 public:
  PoolStep(const LowerContext& context, const Geometry& g, PoolKind kind)
      : x_(context.in(0)), y_(context.out()), kernel_(kernels::pick_pool(context.isa, kind)) {
    const auto element = size_of(context.input(0).dtype);
    offsets_.reserve(static_cast<std::size_t>(g.oh * g.ow) * g.taps());
    g.each_pixel([&](std::int64_t oy, std::int64_t ox) {
      g.each_tap(oy, ox, [&](std::int64_t y, std::int64_t x) {
        const auto offset = (y * g.w + x) * g.channels * static_cast<std::int64_t>(element);
        offsets_.push_back(g.inside(y, x) ? static_cast<std::int32_t>(offset) : kernels::kPad);
      });
    });
    args_.pixels = static_cast<std::size_t>(g.ow);
    args_.channels = static_cast<std::size_t>(g.channels);
    args_.taps = g.taps();
    args_.c_stride = args_.channels * element;
    oh_ = static_cast<std::size_t>(g.oh);
    x_image_ = static_cast<std::size_t>(g.h * g.w) * args_.c_stride;
    names(kernel_);
    const auto rows = static_cast<std::size_t>(g.images) * oh_;
    split(rows, rows * args_.pixels * args_.taps * args_.c_stride);
  }

  // The divisor of each pixel's sum, and for bytes the scale of its mean.
  void average(const LowerContext& context, const Geometry& g) {
    const bool count_padding = context.node.attrs.i("count_include_pad", 0) != 0;
    g.each_pixel([&](std::int64_t oy, std::int64_t ox) {
      std::int64_t n = 0;
      g.each_tap(oy, ox,
                 [&](std::int64_t y, std::int64_t x) { n += count_padding ? g.inside_padded(y, x) : g.inside(y, x); });
      counts_.push_back(static_cast<float>(std::max<std::int64_t>(n, 1)));
    });
    args_.divisor = counts_.data();
    if (context.input(0).dtype != DType::u8) return;
    const ByteOutput out(context, context.output());
    const double x_scale = context.scale(context.input(0));
    for (float& n : counts_) n = static_cast<float>(x_scale / (static_cast<double>(out.scale) * n));
    args_.mul = counts_.data();
    args_.a_zero = context.zero_point(context.input(0));
    args_.zero = out.zero;
    args_.lo = out.lo;
    args_.hi = out.hi;
  }

 private:
  void run_rows(const RunContext& context, std::size_t first, std::size_t last) const override {
    kernels::PoolArgs args = args_;
    for (std::size_t i = first; i < last; ++i) {
      const std::size_t pixel = i % oh_ * args.pixels;
      args.a = context.as<std::byte>(x_) + i / oh_ * x_image_;
      args.offsets = offsets_.data() + pixel * args.taps;
      if (args_.mul) args.mul = args_.mul + pixel;
      if (args_.divisor) args.divisor = args_.divisor + pixel;
      args.c = context.as<std::byte>(y_) + i * args.pixels * args.c_stride;
      kernel_.run(args);
    }
  }

  ValueId x_, y_;
  const kernels::PoolKernel& kernel_;
  kernels::PoolArgs args_;
  std::vector<std::int32_t> offsets_;
  std::vector<float> counts_;
  std::size_t oh_, x_image_;
};

// A row is one row of output pixels; of equal maxima the first counts.
template <class W>
class IndicesStep final : public RowStep {
 public:
  IndicesStep(const LowerContext& context, const Geometry& g)
      : g_(g), x_(context.in(0)), y_(context.out()), element_(size_of(context.input(0).dtype)) {
    read_ = reader_of<W>(context.input(0).dtype);
    scratch = 2 * static_cast<std::size_t>(g.channels) * sizeof(W);
    info.kernel = "indices";
    const auto rows = static_cast<std::size_t>(g.images * g.oh);
    split(rows, rows * static_cast<std::size_t>(g.ow * g.channels) * g.taps() * element_);
  }

 private:
  void run_rows(const RunContext& context, std::size_t first, std::size_t last) const override {
    for (std::size_t i = first; i < last; ++i) {
      const auto image = static_cast<std::int64_t>(i) / g_.oh, oy = static_cast<std::int64_t>(i) % g_.oh;
      std::int64_t* y = context.as<std::int64_t>(y_) + static_cast<std::int64_t>(i) * g_.ow * g_.channels;
      for (std::int64_t ox = 0; ox < g_.ow; ++ox, y += g_.channels) run_pixel(context, image, oy, ox, y);
    }
  }

  void run_pixel(const RunContext& context, std::int64_t image, std::int64_t oy, std::int64_t ox,
                 std::int64_t* at) const {
    const auto channels = static_cast<std::size_t>(g_.channels);
    const std::int64_t plane = g_.h * g_.w;
    const std::byte* x = context.as<std::byte>(x_) + static_cast<std::size_t>(image * plane) * channels * element_;
    W *best = reinterpret_cast<W*>(context.scratch), *next = best + channels;
    std::fill_n(at, channels, -1);
    g_.each_tap(oy, ox, [&](std::int64_t iy, std::int64_t ix) {
      if (!g_.inside(iy, ix)) return;
      const std::int64_t pixel = iy * g_.w + ix;
      read_(x + static_cast<std::size_t>(pixel) * channels * element_, 1, channels, next);
      for (std::size_t c = 0; c < channels; ++c) {
        if (at[c] >= 0 && !(next[c] > best[c])) continue;
        best[c] = next[c];
        at[c] = pixel;
      }
    });
    for (std::size_t c = 0; c < channels; ++c) at[c] += (image * g_.channels + static_cast<std::int64_t>(c)) * plane;
  }

  Geometry g_;
  ValueId x_, y_;
  std::size_t element_;
  ReadWide<W> read_;
};

PoolKind kind_of(const LowerContext& context, PoolKind u8, PoolKind f32) {
  const DType x = context.input(0).dtype, y = context.output().dtype;
  if (x == y && x == DType::u8) return u8;
  if (x == y && x == DType::f32) return f32;
  context.fail("it pools float32 and quantized uint8, not ", name_of(x), " to ", name_of(y));
}

}  // namespace

std::unique_ptr<Step> lower_MaxPool(LowerContext& context) {
  const PoolKind kind = kind_of(context, PoolKind::max_u8, PoolKind::max_f32);
  if (requantize_table(context, context.input(0), context.output())) {
    context.fail("its input and output are quantized differently");
  }
  return std::make_unique<PoolStep>(context, Geometry(context), kind);
}

std::unique_ptr<Step> lower_MaxPoolIndices(LowerContext& context) {
  return with_wide(context.input(0).dtype, [&]<class W>(W) -> std::unique_ptr<Step> {
    return std::make_unique<IndicesStep<W>>(context, Geometry(context));
  });
}

std::unique_ptr<Step> lower_AveragePool(LowerContext& context) {
  const PoolKind kind = kind_of(context, PoolKind::average_u8, PoolKind::average_f32);
  const Geometry geometry(context);
  auto step = std::make_unique<PoolStep>(context, geometry, kind);
  step->average(context, geometry);
  return step;
}

}  // namespace quaver
