// Expand, Tile, Range, Trilu, NonZero: shapes from the contents of inputs.
#include <cmath>

#include "graph/non_zero.h"
#include "graph/ops/common.h"

namespace quaver {
namespace {

constexpr AttrSpec kTrilu[] = {{"upper", AttrKind::i}};

void infer_expand(InferContext& c) {
  const DType dtype = c.input(0).dtype;
  auto to = c.known_ints(1);
  if (!to && c.ranked(1) && c.input(1).shape.size() == 1) to = dims_of_length(c.input(1).shape[0]);
  if (!to || !c.ranked(0)) return c.output_unranked(0, dtype);
  for (const std::int64_t d : *to) {
    if (d < 0 && c.input(1).constant()) c.fail("the shape holds ", d);
  }
  c.output(0, dtype, broadcast(c.input(0).shape, *to));
}

void infer_tile(InferContext& c) {
  const DType dtype = c.input(0).dtype;
  if (!c.ranked(0)) return c.output_unranked(0, dtype);
  Dims out = c.input(0).shape;
  const auto repeats = c.constant_ints(1);
  if (!repeats) return c.output(0, dtype, Dims(out.size(), kDynamic));
  if (repeats->size() != out.size()) c.fail(repeats->size(), " repeats for shape ", to_string(out));
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::int64_t times = (*repeats)[i];
    if (times < 0 || times > kLargestDimension) c.fail("it repeats ", times, " times");
    if (out[i] == kDynamic) continue;
    if (times > 0 && out[i] > kLargestDimension / times) c.fail("it repeats ", out[i], " elements ", times, " times");
    out[i] *= times;
  }
  c.output(0, dtype, std::move(out));
}

// A constant number, whatever its type; nothing where it is computed at run time.
std::optional<double> number(const InferContext& c, std::size_t i) {
  const Value& value = c.input(i);
  if (!value.constant()) return std::nullopt;
  if (count(value.shape) != 1)
    c.fail("input '", value.name, "' has shape ", to_string(value.shape), ", not one number");
  switch (value.dtype) {
    case DType::f32: return value.data->as<float>()[0];
    case DType::f64: return value.data->as<double>()[0];
    case DType::s16: return value.data->as<std::int16_t>()[0];
    case DType::i32: return value.data->as<std::int32_t>()[0];
    case DType::i64: return static_cast<double>(value.data->as<std::int64_t>()[0]);
    default: c.fail("input '", value.name, "' is ", name_of(value.dtype));
  }
}

void infer_range(InferContext& c) {
  const DType dtype = c.input(0).dtype;
  const auto start = number(c, 0), limit = number(c, 1), delta = number(c, 2);
  if (!start || !limit || !delta) return c.output(0, dtype, {kDynamic});
  if (!std::isfinite(*start) || !std::isfinite(*limit) || !std::isfinite(*delta) || *delta == 0) {
    c.fail("from ", *start, " to ", *limit, " by ", *delta);
  }
  const double n = std::max(std::ceil((*limit - *start) / *delta), 0.0);
  if (n > static_cast<double>(kLargestDimension)) c.fail("it has ", n, " elements");
  c.output(0, dtype, {static_cast<std::int64_t>(n)});
}

void infer_trilu(InferContext& c) {
  if (c.ranked(0) && c.input(0).shape.size() < 2) c.fail("shape ", to_string(c.input(0).shape), " holds no matrix");
  if (c.has_input(1)) expect_dtype(c, 1, {DType::i64});
  output_same_shape(c, c.input(0).dtype);
}

void infer_non_zero(InferContext& c) {
  const Value& x = c.input(0);
  if (!x.ranked) return c.output(0, DType::i64, {kDynamic, kDynamic});
  const auto rank = static_cast<std::int64_t>(x.shape.size());
  if (!x.constant()) return c.output(0, DType::i64, {rank, kDynamic});
  const std::size_t size = size_of(x.dtype);
  std::int64_t n = 0;
  for (std::size_t at = 0; at + size <= x.data->size(); at += size) n += is_non_zero(x.dtype, x.data->data() + at);
  c.output(0, DType::i64, {rank, n});
}

}  // namespace

bool is_non_zero(DType dtype, const std::byte* element) {
  std::byte bits{0};
  const std::size_t size = size_of(dtype);
  const bool real = dtype == DType::f32 || dtype == DType::f64 || dtype == DType::f16 || dtype == DType::bf16;
  for (std::size_t i = 0; i < size; ++i) {
    // The sign of a zero is the first bit of the last byte, as bytes lie on all machines that Quaver runs on.
    bits |= real && i + 1 == size ? element[i] & std::byte{0x7F} : element[i];
  }
  return bits != std::byte{0};
}

const OpSchema schema_Expand{.min_inputs = 2,
                             .max_inputs = 2,
                             .min_outputs = 1,
                             .max_outputs = 1,
                             .attrs = {},
                             .infer = infer_expand,
                             .moves = true};
const OpSchema schema_Tile{.min_inputs = 2,
                           .max_inputs = 2,
                           .min_outputs = 1,
                           .max_outputs = 1,
                           .attrs = {},
                           .infer = infer_tile,
                           .moves = true};
const OpSchema schema_Range{3, 3, 1, 1, {}, infer_range};
const OpSchema schema_Trilu{1, 2, 1, 1, kTrilu, infer_trilu};
const OpSchema schema_NonZero{1, 1, 1, 1, {}, infer_non_zero};

}  // namespace quaver
