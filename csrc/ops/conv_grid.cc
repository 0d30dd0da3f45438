#include "ops/conv_grid.h"

#include <algorithm>
#include <cstring>

#include "ops/conv_staged.h"
#include "ops/unit_order.h"

namespace quaver {
namespace {

// One axis of a band.
struct Axis {
  std::size_t stride;  // of the windows
  std::size_t pixels;  // of a cell: one of its plane, or all between two windows
  std::size_t planes;  // that taps meet
  std::size_t extra;   // cells beyond one a window

  Axis(const Window& window, int axis, std::size_t taps, bool one_plane)
      : stride(static_cast<std::size_t>(window.strides[axis])), pixels(one_plane ? stride : 1) {
    const std::size_t last = (taps - 1) * static_cast<std::size_t>(window.dilations[axis]);
    planes = one_plane ? 1 : std::min(stride, last + 1);
    extra = last / stride;
  }

  // Pixels of the image from one of a plane to the next.
  std::size_t step() const { return stride / pixels; }
};

// What a kernel sees as taps: a window's pixels, or its rows, whose bytes are filled up to quads.
struct GridTaps {
  std::size_t rows, columns, run, k;  // taps of a window; elements of one, and with those that fill it up

  GridTaps(const ConvGeometry& g, bool whole_rows)
      : rows(g.kh), columns(whole_rows ? 1 : g.kw), run(g.kw / columns * g.c), k(align_up(run, 4)) {}
  std::size_t count() const { return rows * columns; }
};

// A unit is a band of rows of output pixels of one image, and some of the channels.
template <class Family>
class GridStep final : public StagedConv<Family> {
  using Base = StagedConv<Family>;
  using Base::args_;
  using Base::g_;
  using Base::kernel_;
  using Base::scratch;
  using Base::units;
  using Element = typename Family::Element;
  using Input = std::conditional_t<std::is_same_v<Family, U8Gemm>, std::uint8_t, float>;

 public:
  GridStep(LowerContext& context, const ConvGeometry& g, GemmStep<Family>& made, const typename Family::Weight* weights,
           const GridTaps& taps, const typename Family::Kernel& kernel)
      : Base(g, made, kernel),
        taps_(taps),
        down_(g.window, 0, g.kh, false),
        right_(g.window, 1, g.kw, taps.columns < g.kw),
        pitch_(g.ow + right_.extra),
        cell_(right_.pixels * g.c * sizeof(Element)) {
    const std::size_t planes = down_.planes * right_.planes, row_bytes = pitch_ * cell_ * planes;
    const std::size_t rows = kBytes / row_bytes, few = (kRows + pitch_ - 1) / pitch_;
    const std::size_t most = std::clamp(rows > down_.extra ? rows - down_.extra : 0, few, std::max(few, g.oh));
    rows_ = even_share(g.oh, most);
    bands_ = (g.oh + rows_ - 1) / rows_;
    plane_ = (rows_ + down_.extra) * pitch_ * cell_;
    scratch = plane_ * planes + taps_.k * sizeof(Element);  // the last cells' taps may pass the end
    set_offsets();

    const std::size_t weight_bytes = Family::packed_bytes(g.o, taps_.count(), taps_.k),
                      images_bands = g.images * bands_;
    const std::size_t strips = std::max({std::size_t{1}, (weight_bytes + kWeightBytes - 1) / kWeightBytes,
                                         std::min((kEnough + images_bands - 1) / images_bands, g.o / kPanel)});
    columns_ = align_up((g.o + strips - 1) / strips, kernel.nr);
    order_ = {images_bands, (g.o + columns_ - 1) / columns_, g.images * g.pixels(), taps_.count() * g.o};
    units = order_.units();

    // Packing fills up quads as `k` does.
    weights_ = pack_rows<Family>(context.cache, context.input(1).data->data(), {weights}, taps_.count(), taps_.run, 0,
                                 g.o, all_taps(taps_.count()));
    args_.taps = taps_.count();
    args_.k = taps_.k;
    args_.a_stride = cell_;
    args_.offsets = offsets_.data();
    args_.width = g.ow;
    args_.pitch = pitch_;
  }

  void run(const RunContext& context, std::size_t first, std::size_t last) const override {
    typename Family::Args call = args_;
    std::size_t staged = SIZE_MAX;  // which band is there
    for (std::size_t unit = first; unit < last; ++unit) {
      const auto [band, strip] = order_.at(unit);
      const std::size_t image = band / bands_, row = band % bands_ * rows_, column = strip * columns_;
      const std::size_t rows = std::min(rows_, g_.oh - row);
      if (staged != band) stage(context.as<Input>(this->x_) + image * g_.h * g_.w * g_.c, row, rows, context.scratch);
      staged = band;
      call.n = std::min(columns_, g_.o - column);
      call.w = reinterpret_cast<const typename Family::Packed*>(weights_->data() +
                                                                Family::packed_bytes(column, taps_.count(), taps_.k));
      call.bias = args_.bias + column;
      if constexpr (requires { call.scale; }) call.scale = args_.scale + column;
      const std::size_t at_once = rows_at_once(call.n);
      for (std::size_t done = 0; done < rows; done += at_once) {
        call.a = reinterpret_cast<const Element*>(context.scratch + done * pitch_ * cell_);
        call.m = std::min(at_once, rows - done) * g_.ow;
        this->multiply(call, context, (image * g_.oh + row + done) * g_.ow, column);
      }
    }
  }

 private:
  static constexpr std::size_t kBytes = std::size_t{32} << 10;  // of a band, to stay in the nearest cache
  static constexpr std::size_t kRows = 60;                      // that fill a kernel's tiles
  static constexpr std::size_t kWeightBytes = std::size_t{1} << 20, kEnough = 4;

  // How many rows of a band one call of the kernel makes.
  std::size_t rows_at_once(std::size_t columns) const {
    const std::size_t pixels = std::max(this->near_rows(columns), kRows);
    return std::clamp<std::size_t>(pixels / g_.ow, 1, rows_);
  }
  std::size_t most_results() const override {
    const std::size_t columns = std::min(columns_, g_.o);
    return rows_at_once(columns) * g_.ow * columns;
  }

  // The largest of as many shares of about the same size as shares of `most` would be.
  static std::size_t even_share(std::size_t whole, std::size_t most) {
    const std::size_t shares = (whole + most - 1) / most;
    return (whole + shares - 1) / shares;
  }

  void set_offsets() {
    const auto shift = [&](std::size_t ky, std::size_t kx) {
      const std::size_t y = ky * static_cast<std::size_t>(g_.window.dilations[0]);
      const std::size_t x = kx * static_cast<std::size_t>(g_.window.dilations[1]);
      const std::size_t plane = y % down_.stride * right_.planes + x % right_.stride;
      return plane * plane_ + (y / down_.stride * pitch_ + x / right_.stride) * cell_;
    };
    std::vector<std::size_t> shifts;
    for (std::size_t ky = 0; ky < taps_.rows; ++ky) {
      for (std::size_t kx = 0; kx < taps_.columns; ++kx) shifts.push_back(shift(ky, kx));
    }
    offsets_.resize(rows_ * g_.ow * taps_.count());
    std::int32_t* offset = offsets_.data();
    for (std::size_t y = 0; y < rows_; ++y) {
      for (std::size_t x = 0; x < g_.ow; ++x) {
        for (const std::size_t tap : shifts) *offset++ = static_cast<std::int32_t>((y * pitch_ + x) * cell_ + tap);
      }
    }
  }

  // What the windows of `rows` rows of outputs meet, from `row` on.
  void stage(const Input* image, std::size_t row, std::size_t rows, std::byte* band) const {
    const std::int64_t top = std::int64_t(row * down_.stride) - g_.window.pads[0];
    for (std::size_t py = 0; py < down_.planes; ++py) {
      for (std::size_t px = 0; px < right_.planes; ++px, band += plane_) {
        std::byte* to = band;
        for (std::size_t r = 0; r < rows + down_.extra; ++r, to += pitch_ * cell_) {
          stage_row(image, top + std::int64_t(r * down_.stride + py), std::int64_t(px) - g_.window.pads[1], to);
        }
      }
    }
  }

  // Pixels of one row of the image from `left` on, a window's step apart.
  void stage_row(const Input* image, std::int64_t y, std::int64_t left, std::byte* to) const {
    const std::int64_t step = std::int64_t(right_.step()), w = std::int64_t(g_.w);
    const std::size_t pixels = pitch_ * right_.pixels;
    const auto pixels_before = [&](std::int64_t x) {  // that lie left of x
      return static_cast<std::size_t>(std::clamp<std::int64_t>((x - left + step - 1) / step, 0, std::int64_t(pixels)));
    };
    const bool inside = y >= 0 && y < std::int64_t(g_.h);
    const std::size_t begin = inside ? pixels_before(0) : pixels, end = inside ? pixels_before(w) : pixels;
    const std::size_t pixel = g_.c * sizeof(Element);
    std::memset(to, this->zero_, begin * pixel);
    const Input* from = image + (y * w + left + std::int64_t(begin) * step) * std::int64_t(g_.c);
    if (step == 1) {
      put(from, (end - begin) * g_.c, to + begin * pixel);
    } else {
      for (std::size_t i = begin; i < end; ++i, from += right_.step() * g_.c) put(from, g_.c, to + i * pixel);
    }
    std::memset(to + end * pixel, this->zero_, (pixels - end) * pixel);
  }

  void put(const Input* from, std::size_t count, std::byte* to) const {
    if constexpr (std::is_same_v<Input, Element>) {
      std::memcpy(to, from, count);
    } else {
      kernel_.round_grid(from, count, reinterpret_cast<Element*>(to));
    }
  }

  const GridTaps taps_;
  const Axis down_, right_;
  const std::size_t pitch_, cell_;              // cells of a row of a band; bytes of one
  std::size_t bands_, rows_, columns_, plane_;  // bytes of a plane
  UnitOrder order_;
  std::vector<std::int32_t> offsets_;
  PackedBlock weights_;
};

}  // namespace

std::unique_ptr<Step> lower_conv_grid(LowerContext& context, const ConvGeometry& g, GemmStep<U8Gemm>& made,
                                      const std::vector<const std::int8_t*>& planes, bool whole_rows) {
  if (g.group != 1 || planes.size() != 1 || g.taps() == 1 || g.images * g.pixels() == 0) return nullptr;
  const GridTaps taps(g, whole_rows);
  const auto& kernel = kernels::pick_gemm_u8(context.isa, g.pixels(), g.o, taps.k, taps.count());
  if (!kernel.reads_grid || !kernel.reads_grid(taps.k)) return nullptr;
  return std::make_unique<GridStep<U8Gemm>>(context, g, made, planes[0], taps, kernel);
}

std::unique_ptr<Step> lower_conv_grid(LowerContext& context, const ConvGeometry& g, GemmStep<Bf16Gemm>& made,
                                      const std::vector<const float*>& planes) {
  constexpr std::size_t kStretch = 2 * kernels::kBf16Pairs;
  if (g.group != 1 || g.taps() == 1 || g.c % kStretch != 0 || g.images * g.pixels() == 0) return nullptr;
  if (!made.kernel->round_grid) return nullptr;
  return std::make_unique<GridStep<Bf16Gemm>>(context, g, made, planes[0], GridTaps(g, false), *made.kernel);
}

}  // namespace quaver
