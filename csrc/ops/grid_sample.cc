// GridSample: each output pixel of all channels from the few input pixels around one place. The weights of some places
// are found once and used for one channel after the other, so that its pixels stay in the first cache.
#include <algorithm>
#include <array>
#include <cmath>

#include "ops/row_step.h"

namespace quaver {
namespace {

constexpr std::size_t kMaxAxes = 3, kMaxTaps = 16;
enum class Mode { nearest, linear, cubic };
enum class Padding { zeros, border, reflection };

// The pixels along one axis that a coordinate draws on: none outside where the padding is zeros.
struct Taps {
  std::array<std::int64_t, 4> at{};
  std::array<float, 4> weight{};
  std::size_t count = 0;

  void add(std::int64_t index, float w) {
    at[count] = index;
    weight[count++] = w;
  }
};

class Axis {
 public:
  Axis(std::int64_t size, Mode mode, Padding padding, bool corners)
      : size_(size), mode_(mode), padding_(padding), corners_(corners) {}

  Taps taps(float given) const {
    const float n = static_cast<float>(size_);
    float x = corners_ ? (given + 1) * 0.5F * (n - 1) : ((given + 1) * n - 1) * 0.5F;
    if (!std::isfinite(x)) x = -2.0F;  // nowhere
    x = std::clamp(x, -1e9F, 1e9F);
    const float low = corners_ ? 0.0F : -0.5F;
    if (padding_ == Padding::border && (x < low || x > n - 1 - low)) x = std::clamp(x, 0.0F, n - 1);
    if (mode_ != Mode::cubic && padding_ == Padding::reflection) x = reflected(x);
    Taps taps;
    if (mode_ == Mode::nearest) {
      add(taps, static_cast<std::int64_t>(std::nearbyint(x)), 1);
      return taps;
    }
    const float whole = std::floor(x), part = x - whole;
    const auto at = static_cast<std::int64_t>(whole);
    if (mode_ == Mode::linear) {
      add(taps, at, 1 - part);
      add(taps, at + 1, part);
    } else {
      const std::array<float, 4> w = {far(1 + part), near(part), near(1 - part), far(2 - part)};
      for (std::int64_t k = 0; k < 4; ++k) add(taps, at - 1 + k, w[static_cast<std::size_t>(k)]);
    }
    return taps;
  }

 private:
  static constexpr float kA = -0.75F;
  static float near(float d) { return ((kA + 2) * d - (kA + 3)) * d * d + 1; }
  static float far(float d) { return ((kA * d - 5 * kA) * d + 8 * kA) * d - 4 * kA; }

  // Mirrored at the ends: at the outermost pixels' centres, or half a pixel beyond.
  float reflected(float x) const {
    const float low = corners_ ? 0.0F : -0.5F, range = static_cast<float>(size_) - (corners_ ? 1.0F : 0.0F);
    if (range <= 0) return 0;
    const float over = std::fmod(std::fabs(x - low), 2 * range);
    return std::clamp(low + (over > range ? 2 * range - over : over), 0.0F, static_cast<float>(size_) - 1);
  }

  void add(Taps& taps, std::int64_t index, float weight) const {
    if (index < 0 || index >= size_) {
      if (padding_ == Padding::zeros) return;
      const float inside =
          padding_ == Padding::border ? static_cast<float>(index) : reflected(static_cast<float>(index));
      index = std::clamp<std::int64_t>(static_cast<std::int64_t>(std::nearbyint(inside)), 0, size_ - 1);
    }
    taps.add(index, weight);
  }

  std::int64_t size_;
  Mode mode_;
  Padding padding_;
  bool corners_;
};

class GridSampleStep final : public RowStep {
 public:
  explicit GridSampleStep(const LowerContext& context) : x_(context.in(0)), grid_(context.in(1)), y_(context.out()) {
    const Dims &x = context.input(0).shape, &y = context.output().shape;
    const std::string mode = context.node.attrs.s("mode", "linear");
    const std::string padding = context.node.attrs.s("padding_mode", "zeros");
    if (x.size() > kMaxAxes + 2) context.fail("it has ", x.size() - 2, " spatial axes; at most 3 can be sampled");
    const Mode m = mode == "nearest" ? Mode::nearest : mode == "cubic" ? Mode::cubic : Mode::linear;
    if (m == Mode::cubic && x.size() != 4) context.fail("cubic sampling is of two spatial axes");
    const Padding p = padding == "border"       ? Padding::border
                      : padding == "reflection" ? Padding::reflection
                                                : Padding::zeros;
    const bool corners = context.node.attrs.i("align_corners", 0) != 0;
    for (std::size_t i = 2; i < x.size(); ++i) axes_.emplace_back(x[i], m, p, corners);
    strides_ = strides_of(x);
    channels_ = static_cast<std::size_t>(x[1]);
    x_image_ = static_cast<std::size_t>(strides_[0]), x_plane_ = static_cast<std::size_t>(strides_[1]);
    y_plane_ = static_cast<std::size_t>(strides_of(y)[1]);
    info.kernel = "grid_sample";
    if (count(y) > 0 && count(x) == 0) context.fail("there is nothing to sample in ", to_string(x));
    split(static_cast<std::size_t>(y[0]) * y_plane_, 8 * bytes_of(context.output()));
  }

 private:
  static constexpr std::size_t kBlock = 64;
  struct Pixel {
    std::int64_t at;
    float weight;
  };

  void run_rows(const RunContext& context, std::size_t first, std::size_t last) const override {
    for (std::size_t i = first; i < last;) {
      const std::size_t n = std::min({kBlock, last - i, y_plane_ - i % y_plane_});
      run_places(context, i, n);
      i += n;
    }
  }

  // n places of one picture.
  void run_places(const RunContext& context, std::size_t first, std::size_t n) const {
    std::array<Pixel, kBlock * kMaxTaps> pixels;
    std::array<std::size_t, kBlock> ends;
    std::size_t used = 0;
    for (std::size_t i = 0; i < n; ++i) {
      used += around(context.as<const float>(grid_) + (first + i) * axes_.size(), pixels.data() + used);
      ends[i] = used;
    }
    const std::size_t image = first / y_plane_;
    const float* x = context.as<const float>(x_) + image * x_image_;
    float* y = context.as<float>(y_) + image * channels_ * y_plane_ + first % y_plane_;
    for (std::size_t c = 0; c < channels_; ++c, x += x_plane_, y += y_plane_) {
      const Pixel* pixel = pixels.data();
      for (std::size_t i = 0; i < n; ++i) {
        const Pixel* end = pixels.data() + ends[i];
        const auto part = [&](std::size_t k) { return pixel[k].weight * x[pixel[k].at]; };
        float sum = 0;
        for (; end - pixel >= 4; pixel += 4) sum += (part(0) + part(1)) + (part(2) + part(3));
        for (; pixel < end; ++pixel) sum += part(0);
        y[i] = sum;
      }
    }
  }

  // The pixels around a place; its coordinates come innermost axis first. Returns how many there are.
  std::size_t around(const float* place, Pixel* pixels) const {
    pixels[0] = {0, 1.0F};
    std::size_t n = 1;
    for (std::size_t k = axes_.size(); k-- > 0; ++place) {
      const Taps taps = axes_[k].taps(*place);
      for (std::size_t t = taps.count; t-- > 0;) {
        const std::int64_t at = taps.at[t] * strides_[k + 2];
        for (std::size_t j = 0; j < n; ++j) {
          pixels[t * n + j] = {pixels[j].at + at, pixels[j].weight * taps.weight[t]};
        }
      }
      n *= taps.count;
    }
    return n;
  }

  std::vector<Axis> axes_;
  Dims strides_;
  std::size_t channels_, x_image_, x_plane_, y_plane_;
  ValueId x_, grid_, y_;
};

}  // namespace

std::unique_ptr<Step> lower_GridSample(LowerContext& context) { return std::make_unique<GridSampleStep>(context); }

}  // namespace quaver
