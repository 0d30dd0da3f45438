#include "ops/matmul_nibbles.h"

#include <algorithm>

#include "kernels/nibble/nibble.h"
#include "ops/pack_cache.h"
#include "ops/weights.h"

namespace quaver {
namespace {

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
    const auto weights = context.constant<std::uint8_t>(1);
    const auto scales = context.constant<float>(3);
    const auto zeros = context.has_input(5) ? context.constant<std::uint8_t>(5) : std::span<const std::uint8_t>{};
    const std::size_t given = (parts.k + parts.block - 1) / parts.block;
    const void* source = context.input(1).data->data();
    std::string kind = text("nibbles ", parts.k, "x", parts.n, " by ", parts.block);
    const std::vector scale_bytes = {reinterpret_cast<const std::uint8_t*>(scales.data())};
    kind += " scales" + kind_of_planes(source, scale_bytes, scales.size_bytes());
    if (!zeros.empty()) kind += " zeros" + kind_of_planes(source, std::vector{zeros.data()}, zeros.size());
    return context.cache.get(source, kind, parts.bytes, [&](std::byte* out) {
      kernels::pack_nibbles(parts.n, parts.k, parts.block, weights.data(), reinterpret_cast<std::uint8_t*>(out));
      auto* scale = reinterpret_cast<float*>(out + parts.scales);
      auto* zero = reinterpret_cast<std::uint8_t*>(out + parts.zeros);
      for (std::size_t at = 0; at < parts.n * parts.blocks; ++at) {
        const std::size_t b = at % parts.blocks, from = at / parts.blocks * given + b;
        scale[at] = b < given ? scales[from] : 0.0F;
        zero[at] = b >= given ? 0 : zeros.empty() ? 8 : zeros[from] & 15;
      }
    });
  }

  const kernels::NibbleKernel& kernel_;
  Parts parts_;
  PackedBlock packed_;
  kernels::NibbleArgs args_;
  ValueId x_, y_, bias_ = kNone;
};

}  // namespace

std::unique_ptr<Step> lower_matmul_nibbles(LowerContext& context) {
  const auto size = [&](const char* name) { return static_cast<std::size_t>(context.node.attrs.i(name, 0)); };
  const auto n = static_cast<std::size_t>(context.input(1).shape[0]);
  return std::make_unique<NibbleStep>(context, Parts{n, size("K"), size("block_size")});
}

}  // namespace quaver
