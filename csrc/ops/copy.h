// Copies between strided tensors: what Slice, Split, Concat, Reshape and most transposes come down to.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "kernels/elementwise/table.h"
#include "ops/requantize.h"
#include "ops/row_step.h"

namespace quaver {

// Neighbouring dimensions that are one in both tensors are merged. The last dimension that is left is a row.
class StridedCopy {
 public:
  // Strides in elements; any sign.
  StridedCopy(const Dims& dims, const Dims& in_strides, const Dims& out_strides, std::size_t element);

  std::size_t rows() const { return rows_; }
  bool contiguous_rows() const { return contiguous_; }
  std::size_t row_elements() const { return static_cast<std::size_t>(row_.size); }
  void run(const std::byte* in, std::byte* out, std::size_t first, std::size_t last) const;
  // As run, each byte through `table`; for contiguous rows of bytes.
  void run_table(const kernels::TableKernel& kernel, const std::uint8_t* table, const std::byte* in, std::byte* out,
                 std::size_t first, std::size_t last) const;

 private:
  struct Axis {
    std::int64_t size, in, out;  // strides in bytes
  };
  // row(in, out, count, axis): `count` rows, one after the other along the axis.
  template <class Row>
  void each_row(const std::byte* in, std::byte* out, std::size_t first, std::size_t last, Row row) const;
  template <class T>
  void run_elements(const std::byte* in, std::byte* out, std::size_t first, std::size_t last) const;

  std::vector<Axis> outer_;
  Axis row_;
  std::size_t rows_ = 1, element_;
  bool contiguous_;
};

// Several such copies, one after another.
class CopyStep final : public RowStep {
 public:
  explicit CopyStep(const LowerContext& context);

  // `in_offset` and `out_offset` in elements.
  void add(ValueId in, ValueId out, std::int64_t in_offset, std::int64_t out_offset, StridedCopy copy,
           std::optional<ByteTable> table = std::nullopt);
  bool absorb_lookup(std::span<const std::uint8_t> table, ValueId x, ValueId looked_up) override;
  // To be called after the last add.
  void finish();

 private:
  struct Part {
    ValueId in, out;
    std::int64_t in_offset, out_offset;  // bytes
    StridedCopy copy;
    std::optional<ByteTable> table;
    std::size_t begin;  // its first row among all parts'
  };
  void run_rows(const RunContext& context, std::size_t first, std::size_t last) const override;

  std::vector<Part> parts_;
  const kernels::TableKernel& table_kernel_;
  std::size_t element_, rows_ = 0, bytes_ = 0;
};

// Input 0's bytes as they are; where both are quantized, and differently, requantized.
std::unique_ptr<Step> copy_whole(LowerContext& context);

}  // namespace quaver
