#include "ops/conv_rows.h"

#include <algorithm>

#include "ops/conv_weights.h"

namespace quaver {
namespace {

constexpr std::size_t kFewChannels = 8;

bool has_rows(const ConvGeometry& g) {
  return g.group == 1 && g.c < kFewChannels && g.kw > 1 && g.kw <= g.w && g.window.dilations[1] == 1;
}

// The run that a column of outputs reads: kw pixels from `first`, `shift` pixels right of where its window begins.
struct Run {
  std::int64_t first, shift;
};

Run run_of(const ConvGeometry& g, std::size_t column) {
  const std::int64_t left = std::int64_t(column) * g.window.strides[1] - g.window.pads[1];
  const std::int64_t first = std::clamp<std::int64_t>(left, 0, std::int64_t(g.w - g.kw));
  return {first, first - left};
}

// One step while it is made.
class Rows {
 public:
  Rows(LowerContext& context, const ConvGeometry& g, GemmStep<U8Gemm>& step, const std::int8_t* weights)
      : context_(context), g_(g), step_(step), weights_(weights), bias_(step.bias), scale_(step.scale) {
    step.args.k = depth();
    step.pad.assign(depth(), static_cast<std::uint8_t>(zero()));
    step.bias.clear();
    step.scale.clear();
  }

  // Outputs [column, column + columns) of rows [row, row + rows), where one of the two counts is 1.
  void add(std::size_t row, std::size_t rows, std::size_t column, std::size_t columns, std::int64_t shift) {
    GemmPart part = variant(shift);
    const std::size_t pixel_bytes = g_.o * step_.y_element;
    part.m = rows * columns;
    part.offsets = step_.offsets.size();
    part.y_begin = (row * g_.ow + column) * pixel_bytes;
    part.y_stride = rows == 1 ? pixel_bytes : g_.ow * pixel_bytes;
    for (std::size_t pixel = 0; pixel < part.m; ++pixel) {
      const std::size_t y = row + pixel / columns, x = column + pixel % columns;
      const std::int64_t top = std::int64_t(y) * g_.window.strides[0] - g_.window.pads[0];
      for (std::size_t ky = 0; ky < g_.kh; ++ky) {
        const std::int64_t at = top + std::int64_t(ky) * g_.window.dilations[0];
        step_.offsets.push_back(g_.offset(at, run_of(g_, x).first));
      }
    }
    step_.parts.push_back(std::move(part));
  }

 private:
  std::size_t depth() const { return g_.kw * g_.c; }
  std::int32_t zero() const { return context_.zero_point(context_.input(0)); }

  // The part of a shift but for its place: the window's pixel kx meets the weights of kx + shift.
  GemmPart variant(std::int64_t shift) {
    for (const auto& [known, part] : variants_) {
      if (known == shift) return part;
    }
    GemmPart part;
    part.n = g_.o;
    part.taps = g_.kh;
    part.channel = step_.bias.size();
    part.w = context_.cache.get(weights_, text("n16k4 rows ", shift), [&] {
      std::vector<std::int8_t> rows(g_.o * g_.kh * depth());
      each_weight(shift, [&](std::size_t, std::size_t from, std::int64_t to) {
        if (to >= 0) rows[to] = weights_[from];
      });
      AlignedBuffer packed(U8Gemm::packed_bytes(g_.o, g_.kh, depth()));
      U8Gemm::pack(g_.o, g_.kh, depth(), rows.data(), packed.data());
      return packed;
    });
    step_.bias.insert(step_.bias.end(), bias_.begin(), bias_.end());
    step_.scale.insert(step_.scale.end(), scale_.begin(), scale_.end());
    each_weight(shift, [&](std::size_t o, std::size_t from, std::int64_t to) {
      std::int32_t& sum = step_.bias[part.channel + o];
      if (to < 0) sum = static_cast<std::int32_t>(std::uint32_t(sum) + std::uint32_t(zero() * weights_[from]));
    });
    variants_.push_back({shift, part});
    return part;
  }

  // visit(output channel, index of a weight, its index once moved by `shift` pixels, or -1 where it falls off)
  template <class Visit>
  void each_weight(std::int64_t shift, Visit visit) const {
    const std::int64_t run = std::int64_t(depth()), move = shift * std::int64_t(g_.c);
    for (std::size_t row = 0; row < g_.o * g_.kh; ++row) {
      for (std::int64_t i = 0; i < run; ++i) {
        const bool stays = i >= move && i - move < run;
        const std::int64_t from = std::int64_t(row) * run + i;
        visit(row / g_.kh, static_cast<std::size_t>(from), stays ? from - move : -1);
      }
    }
  }

  LowerContext& context_;
  const ConvGeometry& g_;
  GemmStep<U8Gemm>& step_;
  const std::int8_t* weights_;
  std::vector<std::int32_t> bias_;  // of windows inside the image
  std::vector<float> scale_;
  std::vector<std::pair<std::int64_t, GemmPart>> variants_;
};

}  // namespace

std::unique_ptr<Step> lower_conv_rows(LowerContext& context, const ConvGeometry& g) {
  if (!has_rows(g)) return nullptr;
  auto step = std::make_unique<GemmStep<U8Gemm>>();
  WeightPlanes weights;
  const auto planes = prepare(context, g, *step, weights);
  // The cache knows weights by address, and more than one plane is made on the way.
  if (planes.size() != 1 || !weights.owned.empty()) return nullptr;
  Rows rows(context, g, *step, planes[0]);
  std::size_t begin = 0, end = g.ow;  // of the columns whose windows lie inside
  while (begin < end && run_of(g, begin).shift != 0) rows.add(0, g.oh, begin, 1, run_of(g, begin).shift), ++begin;
  while (end > begin && run_of(g, end - 1).shift != 0) --end, rows.add(0, g.oh, end, 1, run_of(g, end).shift);
  for (std::size_t row = 0; begin < end && row < g.oh; ++row) rows.add(row, 1, begin, end - begin, 0);
  step->finish();
  return step;
}

}  // namespace quaver
