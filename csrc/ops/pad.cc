// Pad, as a map from each output coordinate to an input coordinate or to the padding. Dimensions behind the last padded
// one move together as a chunk of bytes.
#include <cstring>

#include "ops/constant_ints.h"
#include "ops/requantize.h"
#include "ops/row_step.h"

namespace quaver {
namespace {

constexpr std::int64_t kPadding = -1;

// The input coordinate behind output coordinate `at` of a dimension of `size` with `before` entries put in front.
std::int64_t source(const std::string& mode, std::int64_t at, std::int64_t before, std::int64_t size) {
  const std::int64_t i = at - before;
  if (i >= 0 && i < size) return i;
  if (mode == "edge") return i < 0 ? 0 : size - 1;
  if (mode == "wrap") return (i % size + size) % size;
  if (mode == "reflect") {
    const std::int64_t period = std::max<std::int64_t>(2 * (size - 1), 1);
    const std::int64_t phase = (i % period + period) % period;
    return std::min(phase, period - phase);
  }
  return kPadding;
}

// A run of chunks in an output row: from `in` on, or the padding.
struct Run {
  std::size_t out, n;
  std::int64_t in;
};

std::vector<Run> runs_of(const std::vector<std::int64_t>& map) {
  std::vector<Run> runs;
  for (std::size_t o = 0; o < map.size(); ++o) {
    const bool extends =
        !runs.empty() &&
        (map[o] == kPadding ? runs.back().in == kPadding
                            : runs.back().in != kPadding && map[o] == runs.back().in + std::int64_t(runs.back().n));
    if (extends) {
      ++runs.back().n;
    } else {
      runs.push_back({o, 1, map[o]});
    }
  }
  return runs;
}

// The bytes of one padded element: those of `value`, an element or (for quantized tensors) a real number; zero without.
// None where `value` is computed at run time.
std::vector<std::byte> padding_element(const LowerContext& context) {
  const Value& x = context.input(0);
  std::vector<std::byte> element(size_of(x.dtype));
  if (is_quantized(x)) {
    float real = 0;
    if (context.has_input(2)) {
      const Value& value = context.input(2);
      if (value.dtype == DType::f32) {
        real = context.constant<float>(2)[0];
      } else if (value.dtype == DType::u8) {
        const std::uint8_t byte = context.constant<std::uint8_t>(2)[0];
        const Value& quant = value.quant ? value : x;
        real = static_cast<float>(byte - context.zero_point(quant)) * context.scale(quant);
      } else {
        context.fail("its padding value is ", name_of(value.dtype), "; float32 or uint8 is expected");
      }
    }
    element[0] = static_cast<std::byte>(ByteOutput(context, x)(real / context.scale(x)));
  } else if (context.has_input(2)) {
    const Value& value = context.input(2);
    if (value.dtype != x.dtype) context.fail("its padding value is ", name_of(value.dtype), ", not ", name_of(x.dtype));
    if (!value.constant() && count(value.shape) == 1) return {};
    const auto bytes = context.constant<std::byte>(2);
    if (bytes.size() != element.size()) context.fail("its padding value is not one element");
    element.assign(bytes.begin(), bytes.end());
  }
  return element;
}

class PadStep final : public RowStep {
 public:
  PadStep(const LowerContext& context, const std::string& mode, const Dims& before)
      : x_(context.in(0)), y_(context.out()) {
    const Dims &in = context.input(0).shape, &out = context.output().shape;
    std::size_t inner = in.size();  // the last padded dimension, and one
    while (inner > 1 && before[inner - 1] == 0 && in[inner - 1] == out[inner - 1]) --inner;
    chunk_ = size_of(context.input(0).dtype);
    for (std::size_t i = inner; i < in.size(); ++i) chunk_ *= static_cast<std::size_t>(in[i]);
    std::size_t rows = 1;
    for (std::size_t i = 0; i < inner; ++i) {
      std::vector<std::int64_t> map(static_cast<std::size_t>(out[i]));
      for (std::size_t o = 0; o < map.size(); ++o) map[o] = source(mode, std::int64_t(o), before[i], in[i]);
      if (i + 1 == inner) {
        runs_ = runs_of(map);
        in_row_ = static_cast<std::size_t>(in[i]) * chunk_;
        out_row_ = map.size() * chunk_;
      } else {
        rows *= map.size();
        outer_.push_back({std::move(map), static_cast<std::size_t>(in[i])});
      }
    }
    const auto element = padding_element(context);
    if (element.empty()) value_ = context.in(2);
    element_ = size_of(context.input(0).dtype);
    padding_.resize(element.empty() ? 0 : out_row_);
    for (std::size_t i = 0; i < padding_.size(); ++i) padding_[i] = element[i % element.size()];
    info.kernel = "pad";
    split(count(out) ? rows : 0, 2 * rows * out_row_);
  }

 private:
  struct Outer {
    std::vector<std::int64_t> map;
    std::size_t in;
  };

  // The input row behind output row i, or kPadding.
  std::int64_t input_row(std::size_t i) const {
    std::int64_t row = 0, stride = 1;
    for (std::size_t k = outer_.size(); k-- > 0;) {
      const std::int64_t at = outer_[k].map[i % outer_[k].map.size()];
      if (at == kPadding) return kPadding;
      row += at * stride;
      stride *= static_cast<std::int64_t>(outer_[k].in);
      i /= outer_[k].map.size();
    }
    return row;
  }

  void run_rows(const RunContext& context, std::size_t first, std::size_t last) const override {
    for (std::size_t i = first; i < last; ++i) {
      std::byte* y = context.as<std::byte>(y_) + i * out_row_;
      const std::int64_t row = input_row(i);
      if (row == kPadding) {
        pad(context, y, out_row_);
        continue;
      }
      const std::byte* x = context.as<std::byte>(x_) + static_cast<std::size_t>(row) * in_row_;
      for (const Run& run : runs_) {
        if (run.in == kPadding) {
          pad(context, y + run.out * chunk_, run.n * chunk_);
        } else {
          std::memcpy(y + run.out * chunk_, x + static_cast<std::size_t>(run.in) * chunk_, run.n * chunk_);
        }
      }
    }
  }

  void pad(const RunContext& context, std::byte* y, std::size_t size) const {
    if (value_ == kNone) {
      std::memcpy(y, padding_.data(), size);
      return;
    }
    const std::byte* element = context.as<std::byte>(value_);
    for (std::size_t i = 0; i < size; i += element_) std::memcpy(y + i, element, element_);
  }

  ValueId x_, y_, value_ = kNone;
  std::size_t element_ = 0, chunk_, in_row_ = 0, out_row_ = 0;
  std::vector<Outer> outer_;
  std::vector<Run> runs_;
  std::vector<std::byte> padding_;
};

}  // namespace

std::unique_ptr<Step> lower_Pad(LowerContext& context) {
  const Value &x = context.input(0), &y = context.output();
  if (requantize_table(context, x, y)) context.fail("its input and output are quantized differently");
  const auto pads = constant_ints(context, 1);
  const std::string mode = context.node.attrs.s("mode", "constant");
  const auto axes = constant_axes(context, 3, x.shape.size(), pads.size() / 2);
  Dims before(x.shape.size(), 0);
  for (std::size_t i = 0; i < axes.size(); ++i) before[axes[i]] = pads[i];
  if (mode != "constant" && count(x.shape) == 0 && count(y.shape) > 0) context.fail("there is nothing to pad with");
  if (x.shape.empty()) context.fail("a scalar cannot be padded");
  return std::make_unique<PadStep>(context, mode, before);
}

}  // namespace quaver
