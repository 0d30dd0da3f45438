#include "ops/scales.h"

#include <algorithm>
#include <cstring>

namespace quaver {
namespace {

constexpr std::size_t kGrain = 1024;  // elements of a row under one scale for all

std::int32_t read(DType dtype, const std::byte* p, std::size_t i) {
  const auto get = [&]<class T>(T value) {
    std::memcpy(&value, p + i * sizeof value, sizeof value);
    return static_cast<std::int32_t>(value);
  };
  switch (dtype) {
    case DType::u8: return get(std::uint8_t{});
    case DType::s8: return get(std::int8_t{}) + 128;
    case DType::u16: return get(std::uint16_t{});
    case DType::s16: return get(std::int16_t{});
    default: return get(std::int32_t{});
  }
}

}  // namespace

Scales::Scales(const LowerContext& context, DType quantized, const Dims& shape)
    : quantized_(quantized),
      scale_(context.in(1)),
      elements_(static_cast<std::size_t>(count(shape))),
      flip_(quantized == DType::s8 ? 0x80 : 0) {
  if (context.input(1).dtype != DType::f32) {
    context.fail("its scale is ", name_of(context.input(1).dtype), "; float32 can be used");
  }
  if (context.has_input(2) && context.input(2).dtype != quantized) {
    context.fail("its zero point is ", name_of(context.input(2).dtype), ", expected ", name_of(quantized));
  }
  if (count(context.input(1).shape) == 1) {
    row_ = kGrain;
  } else {
    take_axis(context, shape);
  }
  rows_ = (elements_ + row_ - 1) / row_;
  take_zero_points(context);
}

void Scales::take_axis(const LowerContext& context, const Dims& shape) {
  context.constant<float>(1);  // or an error: a scale for each channel must be known
  const auto rank = static_cast<std::int64_t>(shape.size());
  const auto axis = static_cast<std::size_t>(normalize_axis(context.node.attrs.i("axis", 1), rank));
  const auto channels = static_cast<std::size_t>(shape[axis]);
  const auto inner = static_cast<std::size_t>(strides_of(shape)[axis]);
  if (context.input(1).shape != Dims{shape[axis]}) {
    context.fail("scales of shape ", to_string(context.input(1).shape), " along axis ", axis, " of ", to_string(shape));
  }
  step_ = inner == 1;
  row_ = std::max<std::size_t>(step_ ? channels : inner, 1);
  channels_ = step_ ? 1 : std::max<std::size_t>(channels, 1);
}

void Scales::take_zero_points(const LowerContext& context) {
  const auto n = static_cast<std::size_t>(count(context.input(1).shape));
  if (!context.has_input(2)) {
    zero_points_.assign(n, quantized_ == DType::s8 ? 128 : 0);
    return;
  }
  const Value& zero = context.input(2);
  if (static_cast<std::size_t>(count(zero.shape)) != n) {
    context.fail(n, " scales with zero points of shape ", to_string(zero.shape));
  }
  zero_ = context.in(2);
  if (n == 1 && !zero.constant()) return;
  const std::byte* bytes = context.constant<std::byte>(2).data();
  for (std::size_t i = 0; i < n; ++i) zero_points_.push_back(read(quantized_, bytes, i));
}

std::optional<ByteRounding> Scales::rounding(const LowerContext& context) const {
  if (!context.input(1).constant() || zero_points_.empty() || channels_ != 1) return std::nullopt;
  return ByteRounding(kernels::pick_quantize(context.isa), context.constant<float>(1), zero_points_, flip_);
}

std::int32_t Scales::zero_at_run_time(const RunContext& context) const {
  return read(quantized_, context.as<const std::byte>(zero_), 0);
}

}  // namespace quaver
