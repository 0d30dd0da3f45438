#include "native/benchmarks.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>

#include "base/aligned.h"
#include "isa/cpu.h"
#include "kernels/depthwise/depthwise_u8.h"
#include "kernels/gemm/gemm_bf16.h"
#include "kernels/gemm/gemm_f32.h"
#include "kernels/gemm/gemm_u8.h"
#include "native/clock.h"

namespace quaver::bench {
namespace {

using namespace kernels;

constexpr double kSeconds = 0.005;
constexpr std::size_t kPanel = 64;  // no list pads weights, biases or scales to more

template <class T>
std::vector<T> random_numbers(std::size_t count, int low, int high) {
  std::minstd_rand bits(1);
  std::uniform_int_distribution<int> uniform(low, high);
  std::vector<T> numbers(count);
  for (T& number : numbers) number = static_cast<T>(uniform(bits));
  return numbers;
}

double run_gemm_u8(const GemmU8Kernel& kernel, Shape s) {
  const auto a = random_numbers<std::uint8_t>(s.m * s.k, 0, 255);
  const auto w = random_numbers<std::int8_t>(s.n * s.k, -127, 127);
  const auto bias = random_numbers<std::int32_t>(align_up(s.n, kPanel), -1000, 1000);
  const std::vector<float> scale(align_up(s.n, kPanel), 1e-4F);
  AlignedBuffer packed(packed_size(kernel.layout, s.n, 1, s.k)), c(s.m * s.n);
  pack_gemm_u8(kernel.layout, s.n, 1, s.k, w.data(), packed.as<std::int8_t>());
  GemmU8Args args;
  args.m = s.m, args.n = s.n, args.k = s.k;
  args.a = a.data(), args.a_stride = s.k;
  args.w = packed.as<std::int8_t>(), args.bias = bias.data(), args.scale = scale.data();
  args.lo = -128, args.hi = 127, args.zero = 128;
  args.c = c.data(), args.c_stride = s.n;
  return seconds_of([&] { kernel.run(args); }, kSeconds);
}

// fp32 or bf16; the values' bits do not matter.
template <class Element, class Kernel>
double run_gemm_float(const Kernel& kernel, Shape s, std::size_t packed_count) {
  const auto a = random_numbers<Element>(s.m * s.k, 0, 8), w = random_numbers<Element>(packed_count, 0, 8);
  const std::vector<float> bias(align_up(s.n, kPanel));
  AlignedBuffer packed(packed_count * sizeof(Element)), c(s.m * s.n * sizeof(float));
  std::copy(w.begin(), w.end(), packed.as<Element>());
  GemmFloatArgs<Element> args;
  args.m = s.m, args.n = s.n, args.k = s.k;
  args.a = a.data(), args.a_stride = s.k * sizeof(Element);
  args.w = packed.as<Element>(), args.bias = bias.data();
  args.c = c.as<float>(), args.c_stride = s.n * sizeof(float);
  return seconds_of([&] { kernel.run(args); }, kSeconds);
}

double run_gemm_f32(const GemmF32Kernel& kernel, Shape s) {
  return run_gemm_float<float>(kernel, s, packed_count_f32(s.n, 1, s.k));
}

double run_gemm_bf16(const GemmBf16Kernel& kernel, Shape s) {
  return run_gemm_float<std::uint16_t>(kernel, s, packed_count_bf16(s.n, 1, s.k));
}

// The columns of one row of a square image, of which each pixel sees those right of and the `seen` rows below it; past
// the end both wrap around.
std::vector<std::int32_t> column_offsets(Shape s, std::size_t width, std::size_t side, std::size_t seen,
                                         std::size_t row) {
  std::vector<std::int32_t> offsets;
  for (std::size_t column = 0; column < width + side - 1; ++column) {
    for (std::size_t y = 0; y < seen; ++y) {
      offsets.push_back(static_cast<std::int32_t>(((row + y) * width + column) % s.m * s.n));
    }
  }
  return offsets;
}

double run_depthwise_u8(const DepthwiseU8Kernel& kernel, Shape s) {
  const auto a = random_numbers<std::uint8_t>(s.m * s.n, 0, 255);
  const auto w = random_numbers<std::int8_t>(s.k * s.n, -127, 127);
  const auto bias = random_numbers<std::int32_t>(align_up(s.n, kPanel), -1000, 1000);
  const std::vector<float> scale(align_up(s.n, kPanel), 1e-3F);
  const auto width = static_cast<std::size_t>(std::sqrt(s.m)), side = static_cast<std::size_t>(std::sqrt(s.k));
  const bool lanes = kernel.lanes && fits_lanes(side, side, 1, 1);
  const std::size_t outputs = lanes ? 1 : shared_outputs(side, 1, kernel.products), seen = side + outputs - 1;
  std::vector<std::vector<std::int32_t>> rows;
  for (std::size_t row = 0; row < width; row += outputs) rows.push_back(column_offsets(s, width, side, seen, row));
  const std::size_t size = lanes ? packed_size_lanes(s.n, side) : packed_size_depthwise_u8(s.n, seen, side);
  AlignedBuffer packed(outputs * size), c((width + outputs) * width * s.n);
  if (lanes) pack_lanes(s.n, side, 1, w.data(), packed.as<std::int8_t>());
  for (std::size_t o = 0; o < outputs && !lanes; ++o) {
    std::vector<std::int8_t> moved(seen * side * s.n, 0);
    std::copy(w.begin(), w.end(), moved.begin() + o * side * s.n);
    pack_depthwise_u8(s.n, seen, side, moved.data(), packed.as<std::int8_t>() + o * size);
  }
  DepthwiseU8Args args;
  args.pixels = width, args.channels = s.n, args.rows = seen, args.columns = side;
  args.outputs = outputs, args.c_apart = width * s.n;
  args.a = a.data();
  args.w = packed.as<std::int8_t>(), args.bias = bias.data(), args.scale = scale.data();
  args.lo = -128, args.hi = 127, args.zero = 128;
  args.c_stride = s.n;
  args.bounded = is_bounded(args), args.lanes = lanes;
  const auto image = [&] {
    args.c = c.as<std::uint8_t>();
    for (const std::vector<std::int32_t>& row : rows) {
      args.offsets = row.data();
      kernel.run(args);
      args.c = static_cast<std::uint8_t*>(args.c) + outputs * width * s.n;
    }
  };
  return seconds_of(image, kSeconds);
}

// Adds the kernels of one list that this CPU can run.
template <class List, class Run>
void add(std::vector<Benchmark>& all, const char* family, List list, Run run) {
  for (std::size_t i = 0; i < list.size; ++i) {
    const auto& kernel = *list.items[i];
    if (!detected_isa().has(kernel.isa)) continue;
    all.push_back({family, kernel.name, kernel.isa, [&kernel, run](Shape shape) { return run(kernel, shape); }});
  }
}

}  // namespace

std::vector<Benchmark> benchmarks() {
  std::vector<Benchmark> all;
  add(all, "gemm_u8", gemm_u8_kernels(), run_gemm_u8);
  add(all, "gemm_f32", gemm_f32_kernels(), run_gemm_f32);
  add(all, "gemm_bf16", gemm_bf16_kernels(), run_gemm_bf16);
  add(all, "depthwise_u8", depthwise_u8_kernels(), run_depthwise_u8);
  return all;
}

}  // namespace quaver::bench
