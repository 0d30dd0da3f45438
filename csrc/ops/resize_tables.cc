#include "ops/resize_tables.h"

#include <algorithm>
#include <cmath>

namespace quaver {
namespace {

void expect_one_of(const LowerContext& context, const char* name, const std::string& given,
                   std::initializer_list<const char*> known) {
  if (std::find(known.begin(), known.end(), given) == known.end())
    context.fail(name, " '", given, "' is not supported");
}

// The input coordinate of output coordinate `at`, in single precision as ONNX Runtime computes it: where a coordinate
// should fall on a pixel or between two, which way it is rounded decides the pixel.
float coordinate(const std::string& mode, std::int64_t at, const ResizeAxis& axis) {
  const float x = static_cast<float>(at), in = static_cast<float>(axis.in), out = static_cast<float>(axis.out);
  if (mode == "asymmetric") return out / in == axis.scale ? x * in / out : x / axis.scale;
  if (mode == "align_corners") return axis.out == 1 ? 0.0F : x * (in - 1) / (out - 1);
  if (mode == "pytorch_half_pixel" && axis.out <= 1) return 0.0F;
  const float stretched = (x + 0.5F) / axis.scale;
  if (mode != "half_pixel_symmetric") return stretched - 0.5F;
  const float adjustment = out / (axis.scale * in), center = in / 2.0F;
  return center * (1 - adjustment) + stretched - 0.5F;
}

std::int64_t rounded(const std::string& mode, float x) {
  if (mode == "floor") return static_cast<std::int64_t>(std::floor(x));
  if (mode == "ceil") return static_cast<std::int64_t>(std::ceil(x));
  const float below = std::floor(x);
  const bool tie = x - below == 0.5F;
  if (tie) return static_cast<std::int64_t>(below) + (mode == "round_prefer_ceil" ? 1 : 0);
  return static_cast<std::int64_t>(std::floor(x + 0.5F));
}

// Keys' kernel around a point `fraction` behind the second of four samples.
void cubic_weights(float a, float fraction, float* w) {
  const double f = fraction, g = 1 - f;
  const auto near = [a](double d) { return ((a + 2.0) * d - (a + 3.0)) * d * d + 1; };
  const auto far = [a](double d) { return ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a; };
  w[0] = static_cast<float>(far(f + 1));
  w[1] = static_cast<float>(near(f));
  w[2] = static_cast<float>(near(g));
  w[3] = static_cast<float>(far(g + 1));
}

// Samples outside lose their weight to the others.
void drop_outside(std::int64_t first, std::int64_t size, std::size_t taps, float* w) {
  float sum = 0;
  for (std::size_t t = 0; t < taps; ++t) {
    const std::int64_t at = first + static_cast<std::int64_t>(t);
    if (at < 0 || at >= size) w[t] = 0;
    sum += w[t];
  }
  for (std::size_t t = 0; t < taps; ++t) w[t] /= sum;
}

}  // namespace

ResizeMode::ResizeMode(const LowerContext& context) {
  const Attrs& attrs = context.node.attrs;
  const std::string mode = attrs.s("mode", "nearest");
  coordinates = attrs.s("coordinate_transformation_mode", "half_pixel");
  nearest = attrs.s("nearest_mode", "round_prefer_floor");
  cubic_a = static_cast<float>(attrs.f("cubic_coeff_a", -0.75));
  exclude_outside = attrs.i("exclude_outside", 0) != 0;
  expect_one_of(context, "mode", mode, {"nearest", "linear", "cubic"});
  expect_one_of(context, "coordinate_transformation_mode", coordinates,
                {"half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "half_pixel_symmetric"});
  expect_one_of(context, "nearest_mode", nearest, {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"});
  interpolation = mode == "nearest"  ? Interpolation::nearest
                  : mode == "linear" ? Interpolation::linear
                                     : Interpolation::cubic;
}

std::vector<std::int64_t> nearest_table(const ResizeMode& mode, const ResizeAxis& axis) {
  std::vector<std::int64_t> table;
  for (std::int64_t at = 0; at < axis.out; ++at) {
    const std::int64_t index = axis.identity() ? at : rounded(mode.nearest, coordinate(mode.coordinates, at, axis));
    table.push_back(std::clamp<std::int64_t>(index, 0, axis.in - 1));
  }
  return table;
}

ResizeTable weight_table(const ResizeMode& mode, const ResizeAxis& axis) {
  const std::size_t taps = mode.taps();
  ResizeTable table;
  for (std::int64_t at = 0; at < axis.out; ++at) {
    const float x = coordinate(mode.coordinates, at, axis), below = std::floor(x);
    const std::int64_t first = static_cast<std::int64_t>(below) - (taps == 4 ? 1 : 0);
    float w[4] = {1 - (x - below), x - below};
    if (taps == 4) cubic_weights(mode.cubic_a, x - below, w);
    if (mode.exclude_outside) drop_outside(first, axis.in, taps, w);
    for (std::size_t t = 0; t < taps; ++t) {
      table.index.push_back(std::clamp<std::int64_t>(first + static_cast<std::int64_t>(t), 0, axis.in - 1));
      table.weight.push_back(w[t]);
    }
  }
  return table;
}

}  // namespace quaver
