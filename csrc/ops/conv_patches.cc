#include "ops/conv_patches.h"

#include <algorithm>
#include <cstring>

#include "ops/conv_grid.h"
#include "ops/conv_staged.h"

namespace quaver {
namespace {

constexpr std::size_t kFewChannels = 8, kMostBytes = 1024, kMove = 16;

bool has_patches(const ConvGeometry& g) {
  return g.group == 1 && g.c < kFewChannels && g.kw > 1 && g.window.dilations[1] == 1 && g.taps() * g.c <= kMostBytes;
}

// A unit is one row of output pixels of one image.
class PatchStep final : public StagedConv<U8Gemm> {
 public:
  PatchStep(LowerContext& context, const ConvGeometry& g, GemmStep<U8Gemm>& made, const std::int8_t* weights)
      : StagedConv(g, made, kernels::pick_gemm_u8(context.isa, std::min(kPatches, g.ow), g.o, patch_bytes(g))),
        bytes_(patch_bytes(g)),
        stride_(align_up(bytes_, kLine)) {
    const std::size_t packed_bytes = U8Gemm::packed_bytes(g.o, 1, bytes_);
    weights_ = context.cache.get(weights, "n16k4 patches", packed_bytes, [&](void* out) {
      std::vector<std::int8_t> rows(g.o * bytes_);
      for (std::size_t o = 0; o < g.o; ++o) std::copy_n(weights + o * depth(), depth(), rows.data() + o * bytes_);
      U8Gemm::pack(g.o, 1, bytes_, rows.data(), out);
    });
    args_.k = bytes_;
    args_.a_stride = stride_;
    args_.w = reinterpret_cast<const std::int8_t*>(weights_->data());
    scratch = kPatches * stride_ + kMove;
    units = g.images * g.oh;
  }

  void run(const RunContext& context, std::size_t first, std::size_t last) const override {
    auto* patches = reinterpret_cast<std::uint8_t*>(context.scratch);
    kernels::GemmU8Args call = args_;
    call.a = patches;
    for (std::size_t unit = first; unit < last; ++unit) {
      const std::uint8_t* image = context.as<std::uint8_t>(x_) + unit / g_.oh * g_.h * row_bytes();
      for (std::size_t column = 0; column < g_.ow; column += call.m) {
        call.m = std::min(kPatches, g_.ow - column);
        gather(image, unit % g_.oh, column, call.m, patches);
        multiply(call, context, unit * g_.ow + column, 0);
      }
    }
  }

 private:
  std::size_t most_results() const override { return std::min(kPatches, g_.ow) * g_.o; }

  static constexpr std::size_t kPatches = 128, kLine = 64;

  static std::size_t patch_bytes(const ConvGeometry& g) { return align_up(g.taps() * g.c, 4); }
  std::size_t depth() const { return g_.taps() * g_.c; }
  std::size_t row_bytes() const { return g_.w * g_.c; }
  std::int64_t left_of(std::size_t column) const {
    return std::int64_t(column) * g_.window.strides[1] - g_.window.pads[1];
  }

  // The windows of `count` outputs of row `row`, from `column` on. Padding, then what lies inside the image.
  void gather(const std::uint8_t* image, std::size_t row, std::size_t column, std::size_t count,
              std::uint8_t* out) const {
    const std::int64_t top = std::int64_t(row) * g_.window.strides[0] - g_.window.pads[0];
    std::size_t done = 0;
    while (done < count && left_of(column + done) < 0) edge(image, top, column + done, out + done * stride_), ++done;
    std::size_t end = count;
    while (end > done && left_of(column + end - 1) + std::int64_t(g_.kw) > std::int64_t(g_.w)) --end;
    const std::int64_t bottom = top + (std::int64_t(g_.kh) - 1) * g_.window.dilations[0];
    // A move may pass the end of a row, but not of the image.
    const std::size_t moved = g_.kw * g_.c + kMove;
    const bool inside = top >= 0 && bottom < std::int64_t(g_.h),
               roomy = bottom + 1 < std::int64_t(g_.h) && row_bytes() >= kMove;
    if (inside && (roomy || row_bytes() >= moved)) {
      const std::size_t most = roomy ? end : std::min(end, before(row_bytes() - moved, column));
      if (done < most) {
        const auto all = g_.kw * g_.c <= kMove ? &PatchStep::whole<1> : &PatchStep::whole<0>;
        (this->*all)(image, top, column + done, most - done, out + done * stride_);
        done = most;
      }
    }
    for (; done < count; ++done) edge(image, top, column + done, out + done * stride_);
  }

  // How many outputs from `column` on begin at or before this byte of a row.
  std::size_t before(std::size_t byte, std::size_t column) const {
    const std::int64_t room = std::int64_t(byte / g_.c) - left_of(column);
    return room < 0 ? 0 : static_cast<std::size_t>(room / g_.window.strides[1]) + 1;
  }

  // Windows that lie inside, `count` of them. kMoves: of a row of a window; 0: as many as it takes.
  template <std::size_t kMoves>
  void whole(const std::uint8_t* image, std::int64_t top, std::size_t column, std::size_t count,
             std::uint8_t* out) const {
    const std::size_t run = g_.kw * g_.c, rows = g_.kh, moved = kMoves ? kMoves * kMove : run, stride = stride_;
    const std::size_t down = static_cast<std::size_t>(g_.window.dilations[0]) * row_bytes();
    const std::size_t right = static_cast<std::size_t>(g_.window.strides[1]) * g_.c;
    const std::uint8_t* window = image + top * std::int64_t(row_bytes()) + left_of(column) * std::int64_t(g_.c);
    for (; count > 0; --count, window += right, out += stride) {
      const std::uint8_t* from = window;
      std::uint8_t* to = out;
      for (std::size_t ky = 0; ky < rows; ++ky, from += down, to += run) {
        for (std::size_t i = 0; i < moved; i += kMove) std::memcpy(to + i, from + i, kMove);
      }
    }
  }

  void edge(const std::uint8_t* image, std::int64_t top, std::size_t column, std::uint8_t* out) const {
    std::fill_n(out, bytes_, zero_);
    const std::int64_t left = left_of(column);
    const std::int64_t first = std::max<std::int64_t>(left, 0);
    const std::int64_t last = std::min<std::int64_t>(left + std::int64_t(g_.kw), std::int64_t(g_.w));
    if (first >= last) return;
    for (std::size_t ky = 0; ky < g_.kh; ++ky) {
      const std::int64_t y = top + std::int64_t(ky) * g_.window.dilations[0];
      if (y < 0 || y >= std::int64_t(g_.h)) continue;
      std::memcpy(out + (ky * g_.kw + static_cast<std::size_t>(first - left)) * g_.c,
                  image + (y * std::int64_t(g_.w) + first) * std::int64_t(g_.c),
                  static_cast<std::size_t>(last - first) * g_.c);
    }
  }

  const std::size_t bytes_, stride_;  // of a patch: whole quads; from one to the next: whole lines
  PackedBlock weights_;
};

}  // namespace

std::unique_ptr<Step> lower_conv_patches(LowerContext& context, const ConvGeometry& g) {
  if (!has_patches(g)) return nullptr;
  GemmStep<U8Gemm> made;
  WeightPlanes weights;
  const auto planes = prepare(context, g, made, weights);
  // The cache knows weights by address, and more than one plane is made on the way.
  if (planes.size() != 1 || !weights.owned.empty()) return nullptr;
  if (auto grid = lower_conv_grid(context, g, made, planes, true)) return grid;
  return std::make_unique<PatchStep>(context, g, made, planes[0]);
}

}  // namespace quaver
