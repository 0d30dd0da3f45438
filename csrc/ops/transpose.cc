// Transposes. Where the innermost dimension stays innermost, rows are copied; otherwise two of the merged dimensions
// form matrices that a kernel transposes: the one innermost before and the one innermost after.
#include "kernels/move/transpose.h"

#include "ops/copy.h"

namespace quaver {
namespace {

struct Axis {
  std::int64_t size, in, out;  // strides in elements
};

// The output's dimensions without those of size 1, neighbours that stay neighbours merged.
std::vector<Axis> merged_axes(const Dims& dims, const Dims& in, const Dims& out) {
  std::vector<Axis> axes;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 1) continue;
    if (!axes.empty() && axes.back().in == in[i] * dims[i]) {
      axes.back() = {axes.back().size * dims[i], in[i], out[i]};
    } else {
      axes.push_back({dims[i], in[i], out[i]});
    }
  }
  return axes;
}

class TransposeStep final : public RowStep {
 public:
  // `axes` by output; the last is not the innermost of the input, `inner` is.
  TransposeStep(const LowerContext& context, std::vector<Axis> axes, std::size_t inner)
      : x_(context.in(0)),
        y_(context.out()),
        element_(size_of(context.input(0).dtype)),
        kernel_(kernels::pick_transpose(context.isa, element_)) {
    rows_of_in_ = axes.back();
    columns_of_in_ = axes[inner];
    axes.pop_back();
    axes.erase(axes.begin() + static_cast<std::ptrdiff_t>(inner));
    batch_ = std::move(axes);
    std::size_t matrices = 1;
    for (const Axis& axis : batch_) matrices *= static_cast<std::size_t>(axis.size);
    // Tiles that fit the first cache; a side of a few elements is not cut, nor worth cutting the other one small.
    row_tile_ = columns_of_in_.size <= 4 ? 4096 : 128;
    column_tile_ = rows_of_in_.size <= 4 ? 4096 : 64;
    row_tiles_ = tiles(rows_of_in_.size, row_tile_);
    column_tiles_ = tiles(columns_of_in_.size, column_tile_);
    names(kernel_);
    split(matrices * row_tiles_ * column_tiles_, 2 * bytes_of(context.input(0)));
  }

 private:
  static std::size_t tiles(std::int64_t size, std::int64_t tile) {
    return static_cast<std::size_t>((size + tile - 1) / tile);
  }

  void run_rows(const RunContext& context, std::size_t first, std::size_t last) const override {
    for (std::size_t i = first; i < last; ++i) {
      const auto row = static_cast<std::int64_t>(i % row_tiles_) * row_tile_;
      const auto column = static_cast<std::int64_t>(i / row_tiles_ % column_tiles_) * column_tile_;
      std::int64_t in = row * rows_of_in_.in + column;
      std::int64_t out = column * columns_of_in_.out + row;
      std::size_t rest = i / row_tiles_ / column_tiles_;
      for (std::size_t k = batch_.size(); k-- > 0;) {
        const auto size = static_cast<std::size_t>(batch_[k].size);
        in += static_cast<std::int64_t>(rest % size) * batch_[k].in;
        out += static_cast<std::int64_t>(rest % size) * batch_[k].out;
        rest /= size;
      }
      kernels::TransposeArgs args;
      args.rows = static_cast<std::size_t>(std::min(row_tile_, rows_of_in_.size - row));
      args.cols = static_cast<std::size_t>(std::min(column_tile_, columns_of_in_.size - column));
      args.a = context.as<std::byte>(x_) + in * static_cast<std::int64_t>(element_);
      args.a_stride = static_cast<std::size_t>(rows_of_in_.in) * element_;
      args.c = context.as<std::byte>(y_) + out * static_cast<std::int64_t>(element_);
      args.c_stride = static_cast<std::size_t>(columns_of_in_.out) * element_;
      kernel_.run(args);
    }
  }

  ValueId x_, y_;
  std::size_t element_;
  const kernels::TransposeKernel& kernel_;
  Axis rows_of_in_, columns_of_in_;
  std::vector<Axis> batch_;
  std::int64_t row_tile_, column_tile_;
  std::size_t row_tiles_, column_tiles_;
};

}  // namespace

std::unique_ptr<Step> lower_Transpose(LowerContext& context) {
  const Value &x = context.input(0), &y = context.output();
  const std::size_t rank = x.shape.size();
  std::vector<std::int64_t> reversed(rank);
  for (std::size_t i = 0; i < rank; ++i) reversed[i] = static_cast<std::int64_t>(rank - 1 - i);
  const auto perm = context.node.attrs.ints("perm", reversed);
  if (perm.size() != rank) context.fail("perm has ", perm.size(), " entries for ", to_string(x.shape));
  const Dims strides = strides_of(x.shape), out = strides_of(y.shape);
  Dims in(rank);
  for (std::size_t i = 0; i < rank; ++i) {
    in[i] = strides[static_cast<std::size_t>(normalize_axis(perm[i], static_cast<std::int64_t>(rank)))];
  }
  const auto axes = merged_axes(y.shape, in, out);
  if (count(y.shape) > 0 && !axes.empty() && axes.back().in != 1 && !requantize_table(context, x, y)) {
    for (std::size_t i = 0; i < axes.size(); ++i) {
      if (axes[i].in == 1) return std::make_unique<TransposeStep>(context, axes, i);
    }
  }
  auto step = std::make_unique<CopyStep>(context);
  step->add(context.in(0), context.out(), 0, 0, StridedCopy(y.shape, in, out, size_of(x.dtype)),
            requantize_table(context, x, y));
  step->finish();
  return step;
}

}  // namespace quaver
