#include "ops/matmul_nibbles.h"

#include <algorithm>

#include "kernels/gemm/gemm_f32.h"
#include "kernels/nibble/nibble.h"
#include "kernels/nibble/panels.h"
#include "ops/pack_cache.h"
#include "ops/weights.h"

namespace quaver {
namespace {

// The weights, scales and zero points of a node.
struct Stored {
  std::size_t blocks;  // of a column
  std::span<const std::uint8_t> weights, zeros;
  std::span<const float> scales;
  std::string kind;  // what tells its packed form from that of other scales and zero points

  Stored(const LowerContext& context, std::size_t k, std::size_t block)
      : blocks((k + block - 1) / block),
        weights(context.constant<std::uint8_t>(1)),
        scales(context.constant<float>(3)),
        kind(text(k, "x", context.input(1).shape[0], " by ", block)) {
    if (context.has_input(5)) zeros = context.constant<std::uint8_t>(5);
    const std::vector scale_bytes = {reinterpret_cast<const std::uint8_t*>(scales.data())};
    kind += " scales" + kind_of_planes(weights.data(), scale_bytes, scales.size_bytes());
    if (!zeros.empty()) kind += " zeros" + kind_of_planes(weights.data(), std::vector{zeros.data()}, zeros.size());
  }
  float scale(std::size_t j, std::size_t b) const { return scales[j * blocks + b]; }
  std::uint8_t zero(std::size_t j, std::size_t b) const { return zeros.empty() ? 8 : zeros[j * blocks + b] & 15; }
};

// Where a packed weight's parts lie in its block: what kernels take, for all columns.
struct Parts {
  std::size_t n, k, block;
  std::size_t column = kernels::nibble_groups(k) * kernels::kNibbleGroupBytes;
  std::size_t blocks = kernels::nibble_blocks(k, block);
  std::size_t scales = n * column;
  std::size_t zeros = scales + n * blocks * sizeof(float);
  std::size_t bytes = zeros + n * blocks;
};

// A unit is some columns.
class NibbleStep final : public Step {
 public:
  NibbleStep(LowerContext& context, const Parts& parts)
      : kernel_(kernels::pick_nibble(context.isa)), parts_(parts), x_(context.in(0)), y_(context.out()) {
    if (context.has_input(6)) bias_ = context.in(6);
    packed_ = pack(context, parts);
    args_.m = static_cast<std::size_t>(count(context.input(0).shape)) / parts.k;
    args_.k = args_.a_stride = parts.k;
    args_.block = parts.block;
    args_.c_stride = parts.n;
    units = (parts.n + kColumns - 1) / kColumns;
    scratch = kernels::kNibbleRows * kernels::nibble_groups(parts.k) * kernels::kNibbleGroup * sizeof(float);
    info = {kernel_.name, kernel_.isa, static_cast<std::int64_t>(args_.m * parts.n * parts.k)};
  }

  void run(const RunContext& context, std::size_t first, std::size_t last) const override {
    const std::size_t j = first * kColumns;
    const std::byte* packed = packed_->data();
    kernels::NibbleArgs args = args_;
    args.n = std::min(last * kColumns, parts_.n) - j;
    args.a = context.as<const float>(x_);
    args.w = reinterpret_cast<const std::uint8_t*>(packed) + j * parts_.column;
    args.scale = reinterpret_cast<const float*>(packed + parts_.scales) + j * parts_.blocks;
    args.zero = reinterpret_cast<const std::uint8_t*>(packed + parts_.zeros) + j * parts_.blocks;
    if (bias_ != kNone) args.bias = context.as<const float>(bias_) + j;
    args.scratch = reinterpret_cast<float*>(context.scratch);
    args.c = context.as<float>(y_) + j;
    kernel_.run(args);
  }

 private:
  static constexpr std::size_t kColumns = 32;

  static PackedBlock pack(LowerContext& context, const Parts& parts) {
    const Stored stored(context, parts.k, parts.block);
    return context.cache.get(stored.weights.data(), "nibbles " + stored.kind, parts.bytes, [&](std::byte* out) {
      kernels::pack_nibbles(parts.n, parts.k, parts.block, stored.weights.data(), reinterpret_cast<std::uint8_t*>(out));
      auto* scale = reinterpret_cast<float*>(out + parts.scales);
      auto* zero = reinterpret_cast<std::uint8_t*>(out + parts.zeros);
      for (std::size_t at = 0; at < parts.n * parts.blocks; ++at) {
        const std::size_t b = at % parts.blocks, j = at / parts.blocks;
        scale[at] = b < stored.blocks ? stored.scale(j, b) : 0.0F;
        zero[at] = b < stored.blocks ? stored.zero(j, b) : 0;
      }
    });
  }

  const kernels::NibbleKernel& kernel_;
  Parts parts_;
  PackedBlock packed_;
  kernels::NibbleArgs args_;
  ValueId x_, y_, bias_ = kNone;
};

// What the steps on panels share: a unit is some panels.
class PanelStep : public Step {
 protected:
  PanelStep(LowerContext& context, const kernels::NibblePanels& shape)
      : kernel_(kernels::pick_nibble_panels(context.isa)), x_(context.in(0)), y_(context.out()) {
    if (context.has_input(6)) bias_ = context.in(6);
    args_.shape = shape;
    args_.m = static_cast<std::size_t>(count(context.input(0).shape)) / shape.k;
    args_.c_stride = shape.n;
    units = (shape.panels() + kPanels - 1) / kPanels;
    info = {kernel_.name, kernel_.isa, static_cast<std::int64_t>(args_.m * shape.n * shape.k)};
    const std::size_t parameters = shape.panels() * shape.blocks() * kernels::kNibblePanel;
    scales_ = align_up(shape.panels() * shape.panel_bytes());
    zeros_ = scales_ + parameters * sizeof(float);
    const Stored stored(context, shape.k, shape.block);
    packed_ = context.cache.get(stored.weights.data(), "nibble panels " + stored.kind, zeros_ + parameters,
                                [&](std::byte* out) { pack(stored, shape, out); });
  }

  // All rows and the columns of units [first, last).
  kernels::NibblePanelArgs part(const RunContext& context, std::size_t first, std::size_t last) const {
    const std::size_t panel = first * kPanels, j = panel * kernels::kNibblePanel, at = j * args_.shape.blocks();
    const std::byte* packed = packed_->data();
    kernels::NibblePanelArgs args = args_;
    args.shape.n = std::min(last * kPanels * kernels::kNibblePanel, args_.shape.n) - j;
    args.w = reinterpret_cast<const std::uint8_t*>(packed) + panel * args_.shape.panel_bytes();
    args.scale = reinterpret_cast<const float*>(packed + scales_) + at;
    args.zero = reinterpret_cast<const std::uint8_t*>(packed + zeros_) + at;
    if (bias_ != kNone) args.bias = context.as<const float>(bias_) + j;
    args.c = context.as<float>(y_) + j;
    return args;
  }

  static constexpr std::size_t kPanels = 4;

  const kernels::NibblePanelKernel& kernel_;
  kernels::NibblePanelArgs args_;
  ValueId x_, y_, bias_ = kNone;

 private:
  void pack(const Stored& stored, const kernels::NibblePanels& shape, std::byte* out) const {
    constexpr std::size_t kPanel = kernels::kNibblePanel;
    kernels::pack_nibble_panels(shape, stored.weights.data(), reinterpret_cast<std::uint8_t*>(out));
    auto* scale = reinterpret_cast<float*>(out + scales_);
    auto* zero = reinterpret_cast<std::uint8_t*>(out + zeros_);
    for (std::size_t j = 0; j < shape.panels() * kPanel; ++j) {
      for (std::size_t b = 0; b < shape.blocks(); ++b) {
        const std::size_t at = (j / kPanel * shape.blocks() + b) * kPanel + j % kPanel;
        scale[at] = j < shape.n ? stored.scale(j, b) : 0.0F;
        zero[at] = j < shape.n ? stored.zero(j, b) : 0;
      }
    }
  }

  PackedBlock packed_;
  std::size_t scales_, zeros_;  // where they lie in it
};

// Rows become bytes, some of them at a time, as far as the model allows it.
class BytePanelStep final : public PanelStep {
 public:
  BytePanelStep(LowerContext& context, const kernels::NibblePanels& shape) : PanelStep(context, shape) {
    depth_ = shape.blocks() * shape.block;
    scratch = kRows * (depth_ + shape.blocks() * (sizeof(float) + sizeof(std::int32_t)));
  }

  void run(const RunContext& context, std::size_t first, std::size_t last) const override {
    const std::size_t blocks = args_.shape.blocks();
    auto* step = reinterpret_cast<float*>(context.scratch);
    auto* sum = reinterpret_cast<std::int32_t*>(step + kRows * blocks);
    auto* q = reinterpret_cast<std::int8_t*>(sum + kRows * blocks);
    kernels::NibblePanelArgs args = part(context, first, last);
    args.q = q, args.step = step, args.sum = sum;
    for (std::size_t row = 0; row < args_.m; row += kRows, args.c += kRows * args.c_stride) {
      args.m = std::min(kRows, args_.m - row);
      for (std::size_t i = 0; i < args.m; ++i) {
        const float* a = context.as<const float>(x_) + (row + i) * args_.shape.k;
        kernel_.quantize({args_.shape.k, args_.shape.block, a, q + i * depth_, step + i * blocks, sum + i * blocks});
      }
      kernel_.run(args);
    }
  }

 private:
  static constexpr std::size_t kRows = 64;
  std::size_t depth_;
};

// Panels become reals, a unit's at a time, for a product in fp32.
class RealPanelStep final : public PanelStep {
 public:
  RealPanelStep(LowerContext& context, const kernels::NibblePanels& shape)
      : PanelStep(context, shape),
        product_(kernels::pick_gemm_f32(context.isa, args_.m, kPanels * kernels::kNibblePanel, shape.k)) {
    info.kernel = product_.name;
    info.isa = product_.isa;
    scratch = (shape.k * kPanels * kernels::kNibblePanel + kPanels * kernels::kNibblePanel) * sizeof(float);
  }

  void run(const RunContext& context, std::size_t first, std::size_t last) const override {
    for (std::size_t unit = first; unit < last; ++unit) {
      const kernels::NibblePanelArgs from = part(context, unit, unit + 1);
      auto* bias = reinterpret_cast<float*>(context.scratch);
      float* reals = bias + kPanels * kernels::kNibblePanel;
      std::fill_n(bias, kPanels * kernels::kNibblePanel, 0.0F);
      if (from.bias) std::copy_n(from.bias, from.shape.n, bias);
      for (std::size_t panel = 0; panel < from.shape.panels(); ++panel) {
        kernel_.reals(from, panel, reals + panel * from.shape.k * kernels::kNibblePanel);
      }
      kernels::GemmF32Args args;
      args.m = args_.m, args.n = from.shape.n, args.k = from.shape.k;
      args.a = context.as<const float>(x_), args.a_stride = from.shape.k * sizeof(float);
      args.w = reals, args.bias = bias;
      args.c = from.c, args.c_stride = from.c_stride * sizeof(float);
      product_.run(args);
    }
  }

 private:
  const kernels::GemmF32Kernel& product_;
};

// From so many rows on, weights made reals cost less than decoding them for every few rows.
constexpr std::size_t kManyRows = 24;

}  // namespace

std::unique_ptr<Step> lower_matmul_nibbles(LowerContext& context) {
  const auto size = [&](const char* name) { return static_cast<std::size_t>(context.node.attrs.i(name, 0)); };
  const auto n = static_cast<std::size_t>(context.input(1).shape[0]);
  const kernels::NibblePanels panels{n, size("K"), size("block_size")};
  if (size("bytes") != 0) return std::make_unique<BytePanelStep>(context, panels);
  const std::size_t rows = static_cast<std::size_t>(count(context.input(0).shape)) / panels.k;
  if (rows >= kManyRows) return std::make_unique<RealPanelStep>(context, panels);
  return std::make_unique<NibbleStep>(context, Parts{n, panels.k, panels.block});
}

}  // namespace quaver
