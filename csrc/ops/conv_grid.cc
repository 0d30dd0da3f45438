#include "ops/conv_grid.h"

#include <algorithm>
#include <cstring>

#include "ops/conv_staged.h"

namespace quaver {
namespace {

// One axis of a band: its windows' pixels, phase by phase.
struct Axis {
  std::size_t stride, extra, phases;  // of the windows; pixels of a phase beyond one a window; phases that taps meet

  Axis(const Window& window, int axis, std::size_t taps) : stride(static_cast<std::size_t>(window.strides[axis])) {
    const std::size_t last = (taps - 1) * static_cast<std::size_t>(window.dilations[axis]);
    extra = last / stride;
    phases = std::min(stride, last + 1);
  }
};

// A unit is a band of rows of output pixels of one image, and some of the channels.
class GridStep final : public StagedConv {
 public:
  GridStep(LowerContext& context, const ConvGeometry& g, GemmStep<U8Gemm>& made, const std::int8_t* weights)
      : StagedConv(g, made, *made.kernel),
        down_(g.window, 0, g.kh),
        right_(g.window, 1, g.kw),
        pitch_(g.ow + right_.extra) {
    const std::size_t row_bytes = pitch_ * g.c * down_.phases * right_.phases;
    const std::size_t rows = kBytes / row_bytes, few = (kRows + pitch_ - 1) / pitch_;
    const std::size_t most = std::clamp(rows > down_.extra ? rows - down_.extra : 0, few, std::max(few, g.oh));
    bands_ = (g.oh + most - 1) / most;
    rows_ = (g.oh + bands_ - 1) / bands_;
    plane_ = (rows_ + down_.extra) * pitch_ * g.c;
    scratch = plane_ * down_.phases * right_.phases;
    set_offsets();

    const std::size_t column_bytes = g.taps() * g.c;
    const std::size_t strips =
        std::max((g.o * column_bytes + kWeightBytes - 1) / kWeightBytes,
                 std::min((kEnough + g.images * bands_ - 1) / (g.images * bands_), g.o / kPanel));
    columns_ = align_up((g.o + strips - 1) / std::max<std::size_t>(strips, 1), made.kernel->nr);
    units = g.images * bands_ * ((g.o + columns_ - 1) / columns_);

    weights_ = pack_rows<U8Gemm>(context.cache, context.input(1).data->data(), {weights}, g.taps(), g.c, 0, g.o,
                                 all_taps(g.taps()));
    args_.taps = g.taps();
    args_.a_stride = g.c;
    args_.offsets = offsets_.data();
    args_.width = g.ow;
    args_.pitch = pitch_;
  }

  void run(const RunContext& context, std::size_t first, std::size_t last) const override {
    auto* band = reinterpret_cast<std::uint8_t*>(context.scratch);
    kernels::GemmU8Args call = args_;
    call.a = band;
    std::size_t staged = SIZE_MAX;
    const std::size_t bands = g_.images * bands_;
    for (std::size_t unit = first; unit < last; ++unit) {
      const std::size_t image = unit % bands / bands_, row = unit % bands_ * rows_, column = unit / bands * columns_;
      const std::size_t rows = std::min(rows_, g_.oh - std::min(row, g_.oh));
      if (rows == 0) continue;
      if (staged != unit % bands) stage(context.as<std::uint8_t>(x_) + image * g_.h * g_.w * g_.c, row, rows, band);
      staged = unit % bands;
      call.m = rows * g_.ow;
      call.n = std::min(columns_, g_.o - column);
      call.w = reinterpret_cast<const std::int8_t*>(weights_->data()) + column * g_.taps() * align_up(g_.c, 4);
      call.bias = args_.bias + column;
      call.scale = args_.scale + column;
      multiply(call, context, (image * g_.oh + row) * g_.ow, column);
    }
  }

 private:
  static constexpr std::size_t kBytes = std::size_t{32} << 10;  // of a band, to stay in the nearest cache
  static constexpr std::size_t kRows = 60;                      // that fill a kernel's tiles
  static constexpr std::size_t kWeightBytes = std::size_t{1} << 20, kEnough = 4;

  void set_offsets() {
    const auto shift = [&](std::size_t ky, std::size_t kx) {
      const std::size_t y = ky * static_cast<std::size_t>(g_.window.dilations[0]);
      const std::size_t x = kx * static_cast<std::size_t>(g_.window.dilations[1]);
      const std::size_t plane = y % down_.stride * right_.phases + x % right_.stride;
      return plane * plane_ + (y / down_.stride * pitch_ + x / right_.stride) * g_.c;
    };
    for (std::size_t pixel = 0; pixel < rows_ * g_.ow; ++pixel) {
      const std::size_t at = (pixel / g_.ow * pitch_ + pixel % g_.ow) * g_.c;
      for (std::size_t tap = 0; tap < g_.taps(); ++tap) {
        offsets_.push_back(static_cast<std::int32_t>(at + shift(tap / g_.kw, tap % g_.kw)));
      }
    }
  }

  // What the windows of `rows` rows of outputs meet, from `row` on.
  void stage(const std::uint8_t* image, std::size_t row, std::size_t rows, std::uint8_t* band) const {
    const std::int64_t top = std::int64_t(row * down_.stride) - g_.window.pads[0];
    for (std::size_t py = 0; py < down_.phases; ++py) {
      for (std::size_t px = 0; px < right_.phases; ++px, band += plane_) {
        std::uint8_t* to = band;
        for (std::size_t r = 0; r < rows + down_.extra; ++r, to += pitch_ * g_.c) {
          stage_row(image, top + std::int64_t(r * down_.stride + py), std::int64_t(px) - g_.window.pads[1], to);
        }
      }
    }
  }

  // Pixels of one row of the image from `left` on, a window's step apart.
  void stage_row(const std::uint8_t* image, std::int64_t y, std::int64_t left, std::uint8_t* to) const {
    const std::int64_t step = std::int64_t(right_.stride), w = std::int64_t(g_.w);
    const auto pixels_before = [&](std::int64_t x) {  // that lie left of x
      return static_cast<std::size_t>(std::clamp<std::int64_t>((x - left + step - 1) / step, 0, std::int64_t(pitch_)));
    };
    const bool inside = y >= 0 && y < std::int64_t(g_.h);
    const std::size_t begin = inside ? pixels_before(0) : pitch_, end = inside ? pixels_before(w) : pitch_;
    std::memset(to, zero_, begin * g_.c);
    const std::uint8_t* from = image + (y * w + left + std::int64_t(begin) * step) * std::int64_t(g_.c);
    if (step == 1) {
      std::memcpy(to + begin * g_.c, from, (end - begin) * g_.c);
    } else {
      for (std::size_t i = begin; i < end; ++i, from += right_.stride * g_.c) std::memcpy(to + i * g_.c, from, g_.c);
    }
    std::memset(to + end * g_.c, zero_, (pitch_ - end) * g_.c);
  }

  const Axis down_, right_;
  const std::size_t pitch_;                     // pixels from one row of a band to the next
  std::size_t bands_, rows_, columns_, plane_;  // bytes of a plane
  std::vector<std::int32_t> offsets_;
  PackedBlock weights_;
};

}  // namespace

std::unique_ptr<Step> lower_conv_grid(LowerContext& context, const ConvGeometry& g, GemmStep<U8Gemm>& made,
                                      const std::vector<const std::int8_t*>& planes) {
  const auto gains = made.kernel->reads_grid;
  if (!gains || !gains(g.c) || g.group != 1 || planes.size() != 1 || g.taps() == 1 || g.images * g.pixels() == 0) {
    return nullptr;
  }
  return std::make_unique<GridStep>(context, g, made, planes[0]);
}

}  // namespace quaver
