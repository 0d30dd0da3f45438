// Resize of one dimension or two neighbouring ones: [outer, height, width, inner], whatever the tensor's rank.
#include <cstring>

#include "graph/resize_shape.h"
#include "kernels/elementwise/table.h"
#include "kernels/resize/resize.h"
#include "ops/constant_ints.h"
#include "ops/copy.h"
#include "ops/requantize.h"
#include "ops/resize_tables.h"
#include "ops/row_step.h"

namespace quaver {
namespace {

using Interpolation = ResizeMode::Interpolation;

struct Geometry {
  std::size_t outer = 1, inner = 1;
  ResizeAxis h{1, 1, 1}, w{1, 1, 1};
  std::size_t pixel, in_row, in_image, out_row;  // bytes

  Geometry(const LowerContext& context, const Dims& in, const ResizeShape& shape) {
    std::vector<std::size_t> resized;
    for (std::size_t i = 0; i < in.size(); ++i) {
      if (in[i] != shape.out[i] || shape.scales[i] != 1.0F) resized.push_back(i);
    }
    // A dimension of one element between the two changes nothing.
    const std::size_t first = resized.front(), last = resized.back();
    if (resized.size() > 2 || count(Dims(in.begin() + first + (first < last), in.begin() + last)) != 1) {
      context.fail("it resizes ", to_string(in), " to ", to_string(shape.out),
                   "; one dimension or two neighbouring ones can be resized");
    }
    for (std::size_t i = 0; i < first; ++i) outer *= static_cast<std::size_t>(in[i]);
    for (std::size_t i = last + 1; i < in.size(); ++i) inner *= static_cast<std::size_t>(in[i]);
    if (first < last) h = {in[first], shape.out[first], shape.scales[first]};
    w = {in[last], shape.out[last], shape.scales[last]};
    pixel = inner * size_of(context.input(0).dtype);
    in_row = static_cast<std::size_t>(w.in) * pixel;
    in_image = static_cast<std::size_t>(h.in) * in_row;
    out_row = static_cast<std::size_t>(w.out) * pixel;
    if (in_image > INT32_MAX) context.fail("one image passes 2 GiB");
  }

  std::size_t rows() const { return outer * static_cast<std::size_t>(h.out); }
};

class NearestStep final : public RowStep {
 public:
  NearestStep(const LowerContext& context, const Geometry& g, const ResizeMode& mode)
      : x_(context.in(0)),
        y_(context.out()),
        g_(g),
        rows_(nearest_table(mode, g.h)),
        columns_(nearest_table(mode, g.w)),
        table_kernel_(kernels::pick_table(context.isa)),
        table_(requantize_table(context, context.input(0), context.output())) {
    info.kernel = "resize_nearest";
    split(g.rows(), 2 * g.rows() * g.out_row);
  }

 private:
  void run_rows(const RunContext& context, std::size_t first, std::size_t last) const override {
    const std::size_t height = rows_.size();
    const std::byte* before = nullptr;  // the input row that made the last output row
    for (std::size_t i = first; i < last; ++i) {
      const std::byte* x = context.as<std::byte>(x_) + i / height * g_.in_image +
                           static_cast<std::size_t>(rows_[i % height]) * g_.in_row;
      std::byte* y = context.as<std::byte>(y_) + i * g_.out_row;
      if (x == before) {
        std::memcpy(y, y - g_.out_row, g_.out_row);
        continue;
      }
      before = x;
      for (const std::int64_t column : columns_) {
        std::memcpy(y, x + static_cast<std::size_t>(column) * g_.pixel, g_.pixel);
        y += g_.pixel;
      }
      if (table_) {
        auto* bytes = reinterpret_cast<std::uint8_t*>(y - g_.out_row);
        table_kernel_.run({g_.out_row, bytes, table_->data(), bytes});
      }
    }
  }

  ValueId x_, y_;
  Geometry g_;
  std::vector<std::int64_t> rows_, columns_;
  const kernels::TableKernel& table_kernel_;
  std::optional<ByteTable> table_;
};

class InterpolateStep final : public RowStep {
 public:
  InterpolateStep(const LowerContext& context, const Geometry& g, const ResizeMode& mode)
      : x_(context.in(0)),
        y_(context.out()),
        g_(g),
        rows_(weight_table(mode, g.h)),
        columns_(weight_table(mode, g.w)),
        kernel_(kernels::pick_resize(
            context.isa, context.input(0).dtype == DType::u8 ? kernels::ResizeKind::u8 : kernels::ResizeKind::f32)) {
    for (const std::int64_t index : columns_.index) {
      offsets_.push_back(static_cast<std::int32_t>(index * static_cast<std::int64_t>(g.pixel)));
    }
    args_.width = static_cast<std::size_t>(g.w.out);
    args_.channels = g.inner;
    args_.taps = mode.taps();
    args_.columns = offsets_.data();
    args_.wx = columns_.weight.data();
    args_.hi = 255;
    args_.lo = 0;
    if (is_quantized(context.input(0))) {
      const ByteOutput out(context, context.output());
      args_.a_zero = context.zero_point(context.input(0));
      args_.mul = static_cast<float>(static_cast<double>(context.scale(context.input(0))) / out.scale);
      args_.zero = out.zero;
      args_.lo = out.lo;
      args_.hi = out.hi;
    }
    names(kernel_);
    split(g.rows(), g.rows() * g.out_row * args_.taps * args_.taps);
  }

 private:
  void run_rows(const RunContext& context, std::size_t first, std::size_t last) const override {
    const auto height = static_cast<std::size_t>(g_.h.out);
    kernels::ResizeArgs args = args_;
    for (std::size_t i = first; i < last; ++i) {
      const std::byte* image = context.as<std::byte>(x_) + i / height * g_.in_image;
      for (std::size_t r = 0; r < args.taps; ++r) {
        const std::size_t at = i % height * args.taps + r;
        args.rows[r] = image + static_cast<std::size_t>(rows_.index[at]) * g_.in_row;
        args.wy[r] = rows_.weight[at];
      }
      args.c = context.as<std::byte>(y_) + i * g_.out_row;
      kernel_.run(args);
    }
  }

  ValueId x_, y_;
  Geometry g_;
  ResizeTable rows_, columns_;
  const kernels::ResizeKernel& kernel_;
  std::vector<std::int32_t> offsets_;
  kernels::ResizeArgs args_;
};

ResizeShape shape_of(const LowerContext& context) {
  std::optional<std::vector<float>> scales;
  std::optional<std::vector<std::int64_t>> sizes;
  if (context.has_input(2)) {
    const auto values = context.constant<float>(2);
    scales.emplace(values.begin(), values.end());
  }
  if (context.has_input(3)) sizes = constant_ints(context, 3);
  return resolve_resize(context.input(0).shape, context.node.attrs, scales, sizes);
}

}  // namespace

std::unique_ptr<Step> lower_Resize(LowerContext& context) {
  const Value &x = context.input(0), &y = context.output();
  const ResizeShape shape = shape_of(context);
  if (shape.out != y.shape) context.fail("its output is ", to_string(y.shape), ", expected ", to_string(shape.out));
  const ResizeMode mode(context);
  const bool smaller = std::any_of(shape.scales.begin(), shape.scales.end(), [](float s) { return s < 1; });
  if (context.node.attrs.i("antialias", 0) != 0 && smaller && mode.interpolation != Interpolation::nearest) {
    context.fail("antialias is not supported; resize without it, or do it before the model");
  }
  if (count(x.shape) == 0 || count(y.shape) == 0) context.fail("an empty tensor cannot be resized");
  if (std::all_of(shape.scales.begin(), shape.scales.end(), [](float s) { return s == 1; })) return copy_whole(context);
  const Geometry geometry(context, x.shape, shape);
  if (mode.interpolation == Interpolation::nearest) return std::make_unique<NearestStep>(context, geometry, mode);
  if (x.dtype != y.dtype || (x.dtype != DType::f32 && x.dtype != DType::u8) || is_quantized(x) != is_quantized(y)) {
    context.fail("it interpolates float32 and uint8, not ", name_of(x.dtype), " to ", name_of(y.dtype));
  }
  return std::make_unique<InterpolateStep>(context, geometry, mode);
}

}  // namespace quaver
