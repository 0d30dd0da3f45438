// A transposed convolution whose windows meet edge to edge, with so few channels that a row of a block is less than a
// vector: a block's pixels are the columns of one product, and its rows are parted afterwards.
#pragma once

#include "ops/conv_geometry.h"
#include "ops/gemm_step.h"

namespace quaver {

// A unit is a row of input pixels of one image.
class BlockStep final : public Step {
 public:
  static constexpr std::size_t kNarrow = 16;  // bytes of a block's row below which this pays

  // `made` has the kernel and what all calls share; bias, scale and w those of the columns [kh][kw][o].
  BlockStep(const ConvGeometry& g, const GemmStep<U8Gemm>& made, std::vector<std::int32_t> bias,
            std::vector<float> scale, PackedBlock w);

  bool absorb_table(std::span<const std::uint8_t> table, IsaSet isa, ValueId out) override;
  void run(const RunContext& context, std::size_t first, std::size_t last) const override;

 private:
  ConvGeometry g_;
  const kernels::GemmU8Kernel* kernel_;
  kernels::GemmU8Args args_;
  std::vector<std::int32_t> bias_;
  std::vector<float> scale_;
  PackedBlock w_;
  ValueId x_, y_;
  TableTail tail_;
};

}  // namespace quaver
