// The step behind convolution, transposed convolution and matrix products with constant weights: a list of
// kernel calls ("parts"), each cut into units by rows and columns.
#pragma once

#include <algorithm>
#include <memory>
#include <type_traits>
#include <vector>

#include "kernels/gemm/gemm_bf16.h"
#include "kernels/gemm/gemm_f32.h"
#include "kernels/gemm/gemm_u8.h"
#include "kernels/gemm/pack_kn.h"
#include "ops/op.h"
#include "ops/pack_cache.h"
#include "ops/result_tail.h"
#include "ops/rounded_rows.h"
#include "ops/unit_order.h"

namespace quaver {

struct U8Gemm {
  using Args = kernels::GemmU8Args;
  using Kernel = kernels::GemmU8Kernel;
  using Element = std::uint8_t;
  using Output = std::uint8_t;
  using Weight = std::int8_t;
  using Packed = std::int8_t;
  using Bias = std::int32_t;
  static constexpr const char* kLayout = "n16k4 ";
  static std::size_t packed_bytes(std::size_t n, std::size_t taps, std::size_t k) {
    return kernels::packed_size({}, n, taps, k);
  }
  static void pack(std::size_t n, std::size_t taps, std::size_t k, const Weight* w, void* out) {
    kernels::pack_gemm_u8({}, n, taps, k, w, static_cast<Weight*>(out));
  }
};

struct F32Gemm {
  using Args = kernels::GemmF32Args;
  using Kernel = kernels::GemmF32Kernel;
  using Element = float;
  using Output = float;
  using Weight = float;
  using Packed = float;
  using Bias = float;
  static constexpr const char* kLayout = "f32n16 ";
  static std::size_t packed_bytes(std::size_t n, std::size_t taps, std::size_t k) {
    return kernels::packed_count_f32(n, taps, k) * sizeof(float);
  }
  static void pack(std::size_t n, std::size_t taps, std::size_t k, const Weight* w, void* out) {
    kernels::pack_gemm_f32(n, taps, k, w, static_cast<float*>(out));
  }
  static void pack_kn(std::size_t n, std::size_t k, const float* b, std::size_t stride, float* out) {
    kernels::pack_gemm_f32_kn(n, k, b, stride, out);
  }
  static const Kernel& pick(IsaSet isa, std::size_t m, std::size_t n, std::size_t k) {
    return kernels::pick_gemm_f32(isa, m, n, k);
  }
};

// fp32 in memory on both sides; a unit rounds the rows that it reads (RoundedRows).
struct Bf16Gemm {
  using Args = kernels::GemmBf16Args;
  using Kernel = kernels::GemmBf16Kernel;
  using Element = std::uint16_t;
  using Output = float;
  using Weight = float;
  using Packed = std::uint16_t;
  using Bias = float;
  static constexpr const char* kLayout = "bf16n16k32 ";
  static std::size_t packed_bytes(std::size_t n, std::size_t taps, std::size_t k) {
    return kernels::packed_count_bf16(n, taps, k) * sizeof(Packed);
  }
  static void pack(std::size_t n, std::size_t taps, std::size_t k, const Weight* w, void* out) {
    kernels::pack_gemm_bf16(n, taps, k, w, static_cast<Packed*>(out));
  }
  static void pack_kn(std::size_t n, std::size_t k, const float* b, std::size_t stride, Packed* out) {
    kernels::pack_gemm_bf16_kn(n, k, b, stride, out);
  }
  static const Kernel& pick(IsaSet isa, std::size_t, std::size_t, std::size_t) { return kernels::pick_gemm_bf16(isa); }
};

inline constexpr std::size_t kPanel = 16;  // columns of a packed panel, in both layouts

// One rectangle of outputs: rows are pixels (or a product's rows), columns output channels.
struct GemmPart {
  static constexpr std::size_t kDirect = SIZE_MAX;
  std::size_t m = 0, n = 0, taps = 1;
  std::size_t offsets = kDirect;  // where its [m][taps] offsets begin in the step's table
  std::size_t x_begin = 0;        // bytes from the image
  std::size_t y_begin = 0;        // bytes from the output image (and from the residual's)
  std::size_t y_stride = 0;       // bytes between rows of the output
  std::size_t channel = 0;        // its first entry in bias and scale, a multiple of kPanel
  PackedBlock w;
};

template <class Family>
class GemmStep final : public Step {
 public:
  using Args = typename Family::Args;
  using Element = typename Family::Element;

  const typename Family::Kernel* kernel = nullptr;
  Args args;  // what all units share: k, a_stride, scale, clamps, zero points, …
  std::vector<GemmPart> parts;
  std::vector<std::int32_t> offsets;
  std::vector<typename Family::Bias> bias;  // padded to panels
  std::vector<float> scale;                 // likewise; empty in fp32
  std::vector<Element> pad;
  std::size_t images = 1, x_image = 0, y_image = 0;  // bytes between images
  std::size_t y_element = sizeof(typename Family::Output);
  ValueId x = kNone, y = kNone, residual = kNone;
  // The input's zero point where it is computed at run time (u8): subtracted with `sums`, the weights' column sums.
  ValueId x_zero = kNone;
  std::vector<std::int32_t> sums;  // padded to panels, like bias
  ValueId x_scale = kNone;         // the input's scale where that is, too: `scale` holds the weights' alone then
  std::vector<float> shift;        // reals added to results (u8), padded to panels

  bool absorb_table(std::span<const std::uint8_t> table, IsaSet isa, ValueId out) override {
    if constexpr (!std::is_same_v<Element, std::uint8_t>) return false;
    if (y_element != 1) return false;
    y = tail_.tables.add(table, isa, out);
    return true;
  }

  bool absorb_function(const RealFunction& function, ValueId out) override {
    if constexpr (std::is_same_v<Family, U8Gemm>) {
      if (args.output != kernels::Output::f32) return false;
    }
    if (!tail_.reals.add(function)) return false;
    y = out;
    return true;
  }

  bool absorb_rounding(const ByteRounding& rounding, ValueId out) override {
    const bool floats = y_element == sizeof(float), known = rounding.columns() == 1;
    const auto fits = [&](const GemmPart& part) { return known || part.n <= rounding.columns(); };
    if (!floats || residual != kNone || !std::ranges::all_of(parts, fits) || !tail_.reals.add(rounding)) return false;
    y = out;
    y_element = 1;
    y_image /= sizeof(float);
    for (GemmPart& part : parts) part.y_begin /= sizeof(float), part.y_stride /= sizeof(float);
    tail_.tile = align_up(scratch);
    std::size_t most = 0;
    for (const Cut& cut : cuts_) most = std::max(most, rows_at_once(cut) * cut.columns);
    scratch = tail_.tile + most * sizeof(float);
    return true;
  }

  ValueId overwrites() const override { return std::is_same_v<Family, U8Gemm> ? residual : kNone; }

  // To be called once everything above is filled in.
  void finish() {
    if constexpr (kRounds) {
      if (kernel_can_round()) take_floats();
    }
    args.bias = bias.data();
    args.pad = pad.data();
    if constexpr (requires { args.scale; }) {
      args.scale = scale.data();
      args.shift = shift.empty() ? nullptr : shift.data();
    }
    for (std::size_t p = 0; p < parts.size(); ++p) cut(p);
    units = cuts_.size();
    if (rounds()) round_rows();
    info.kernel = kernel->name;
    info.isa = kernel->isa;
    if (x_zero != kNone || x_scale != kNone) {
      scratch = bias.size() * (sizeof(bias[0]) + sizeof(float)) + pad.size();
    }
    for (const GemmPart& part : parts) info.macs += images * part.m * part.n * part.taps * args.k;
  }

  void run(const RunContext& context, std::size_t first, std::size_t last) const override {
    const Args base = at_run_time(context);
    for (std::size_t u = first; u < last; ++u) {
      const Cut& cut = cuts_[u];
      const GemmPart& part = parts[cut.part];
      Args call = base;
      call.n = cut.columns;
      call.taps = part.taps;
      find_rows(call, context, u);
      call.w = reinterpret_cast<const typename Family::Packed*>(
          part.w->data() + Family::packed_bytes(kPanel, part.taps, args.k) * (cut.column / kPanel));
      call.bias += part.channel + cut.column;
      if constexpr (requires { call.scale; }) {
        if (call.scale) call.scale += part.channel + cut.column;
        if (call.shift) call.shift += part.channel + cut.column;
      }
      const std::size_t place = cut.image * y_image + part.y_begin + cut.row * part.y_stride + cut.column * y_element;
      const std::size_t rows = rows_at_once(cut);
      for (std::size_t row = 0; row < cut.rows; row += rows) {
        call.m = std::min<std::size_t>(rows, cut.rows - row);
        if (residual != kNone) {
          call.r = reinterpret_cast<decltype(call.r)>(context.as<std::byte>(residual) + place + row * part.y_stride);
          call.r_stride = part.y_stride;
        }
        tail_.run(*kernel, call, context, y, place + row * part.y_stride, part.y_stride);
        if (call.offsets) {
          call.offsets += rows * part.taps;
        } else {
          call.a += rows * call.a_stride / sizeof(Element);
        }
      }
    }
  }

 private:
  static constexpr bool kRounds = std::is_same_v<Family, Bf16Gemm>;

  struct Cut {
    std::uint32_t part, image, row, rows, column, columns;
  };

  // How many of a unit's rows one call of the kernel makes.
  std::size_t rows_at_once(const Cut& cut) const {
    const std::size_t near = tail_.reals.rows(cut.columns), tile = kernel->mr;
    return std::min<std::size_t>(std::max(near / tile * tile, tile), cut.rows);
  }

  // Whether units round their rows, which the kernel may do itself.
  bool rounds() const {
    if constexpr (kRounds) return !args.a_is_f32;
    return false;
  }

  bool kernel_can_round() const {
    return kernel->rounds && std::ranges::all_of(parts, [](const GemmPart& part) { return part.taps == 1; }) &&
           std::ranges::all_of(offsets, [](std::int32_t offset) { return offset <= INT32_MAX / 2; });
  }

  // What counts bytes of the input counts those of floats from here on.
  void take_floats() {
    args.a_is_f32 = true;
    args.a_stride *= 2;
    x_image *= 2;
    for (GemmPart& part : parts) part.x_begin *= 2;
    for (std::int32_t& offset : offsets) offset = offset == kernels::kPad ? offset : 2 * offset;
    pad.assign(2 * pad.size(), 0);
  }

  // Where unit `u` finds its rows.
  void find_rows(Args& call, const RunContext& context, std::size_t u) const {
    const Cut& cut = cuts_[u];
    const GemmPart& part = parts[cut.part];
    const std::byte* image = context.as<std::byte>(x) + cut.image * x_image * (rounds() ? 2 : 1);
    if constexpr (kRounds) {
      if (rounds()) {
        if (part.taps == 1 && part.offsets != GemmPart::kDirect) return gather_rows(call, context, cut, image);
        image = rounded_.run(u, kernel->round, image, context.scratch);
      }
    }
    const std::byte* input = image + part.x_begin;
    if (part.offsets == GemmPart::kDirect) {
      input += cut.row * args.a_stride;
    } else {
      call.offsets = offsets.data() + part.offsets + cut.row * part.taps;
    }
    call.a = reinterpret_cast<const Element*>(input);
  }

  // Rows of one tap, between which others lie: one after the other in the scratch.
  void gather_rows(Args& call, const RunContext& context, const Cut& cut, const std::byte* image) const {
    const GemmPart& part = parts[cut.part];
    auto* to = reinterpret_cast<Element*>(context.scratch);
    call.a = to;
    call.a_stride = args.k * sizeof(Element);
    for (std::size_t row = cut.row; row < cut.row + cut.rows; ++row, to += args.k) {
      const std::int32_t offset = offsets[part.offsets + row];
      if (offset == kernels::kPad) {
        std::copy_n(pad.data(), args.k, to);
      } else {
        const std::size_t at = 2 * (part.x_begin + static_cast<std::size_t>(offset));
        kernel->round(reinterpret_cast<const float*>(image + at), args.k, to);
      }
    }
  }

  // What each unit reads of the input, whose elements take twice the bytes that offsets and strides count.
  void round_rows() {
    const std::size_t bytes = args.k * sizeof(Element);
    for (const Cut& cut : cuts_) {
      const GemmPart& part = parts[cut.part];
      const std::size_t row = part.x_begin + cut.row * args.a_stride;
      if (part.offsets == GemmPart::kDirect) {
        rounded_.add(row, row + (cut.rows - 1) * args.a_stride + bytes);
      } else if (part.taps == 1) {
        rounded_.add(0, cut.rows * bytes);
      } else {
        const auto walked = std::span(offsets).subspan(part.offsets + cut.row * part.taps, cut.rows * part.taps);
        rounded_.add(walked, part.x_begin, bytes);
      }
    }
    scratch = rounded_.scratch();
  }

  // `args`, with bias, padding and scales for a zero point and a scale that are only known now.
  Args at_run_time(const RunContext& context) const {
    Args now = args;
    if constexpr (std::is_integral_v<typename Family::Bias>) {
      if (x_zero == kNone && x_scale == kNone) return now;
      const std::uint8_t zero = x_zero == kNone ? 0 : *context.as<std::uint8_t>(x_zero);
      auto* folded = reinterpret_cast<std::int32_t*>(context.scratch);
      for (std::size_t i = 0; i < bias.size(); ++i) folded[i] = sums.empty() ? bias[i] : bias[i] - zero * sums[i];
      auto* scaled = reinterpret_cast<float*>(folded + bias.size());
      auto* padding = reinterpret_cast<std::uint8_t*>(scaled + bias.size());
      std::fill_n(padding, pad.size(), zero);
      now.bias = folded;
      now.pad = padding;
      if (x_scale == kNone) return now;
      for (std::size_t i = 0; i < scale.size(); ++i) scaled[i] = *context.as<float>(x_scale) * scale[i];
      now.scale = scaled;
    }
    return now;
  }

  // A unit's weights stay in L2 while its rows pass; units enough for threads to share, of about the same size.
  void cut(std::size_t index) {
    constexpr std::size_t kColumns = 64, kFewColumns = 48, kEnough = 4;
    // Kernels of large tiles bring a unit's rows into another form first: more of both, so that it is done seldom. Rows
    // that are rounded for each unit had better all meet their columns in one.
    const bool large = kernel->mr > 16;
    const std::size_t weight_bytes = std::size_t{large ? 1024U : 256U} << 10;
    const GemmPart& part = parts[index];
    const std::size_t column_bytes = part.taps * args.k * sizeof(typename Family::Packed);
    // Of few k the weights stay in registers while a unit's rows pass: the more, the less often they are loaded.
    const std::size_t direct_rows = column_bytes <= kPanel * 3 ? 224 : 56;
    const std::size_t few_rows = !large ? direct_rows : rounds() ? kernel->mr : 128;
    if (images == 0 || part.m == 0 || part.n == 0) return;  // a request may have no rows
    const auto shares = [](std::size_t whole, std::size_t most) { return (whole + most - 1) / most; };
    // Rows of windows overlap: the more a unit has of them, the less is rounded twice.
    const std::size_t most_rows =
        rounds() && part.taps > 1 ? std::clamp(part.m / kEnough, few_rows, 4 * few_rows) : few_rows;
    const std::size_t row_cuts = shares(part.m, most_rows);
    const std::size_t most_columns = part.m <= kernel->mr ? part.n : std::max(weight_bytes / column_bytes, kColumns);
    const std::size_t row_units = images * row_cuts * parts.size();
    const std::size_t column_units =
        std::max(shares(part.n, most_columns), std::min(shares(kEnough, row_units), shares(part.n, kFewColumns)));
    const std::size_t even = shares(part.n, column_units);
    const std::size_t columns = align_up(even, even < kColumns ? kPanel : kernel->nr);
    const std::size_t tiles = shares(part.m, kernel->mr);  // of rows
    const auto row_at = [&](std::size_t i) { return std::min(tiles * i / row_cuts * kernel->mr, part.m); };
    const UnitOrder order(images * row_cuts, shares(part.n, columns), images * part.m, part.taps * part.n);
    for (std::size_t unit = 0; unit < order.units(); ++unit) {
      const auto [band, strip] = order.at(unit);
      const std::size_t image = band / row_cuts, row = row_at(band % row_cuts), column = strip * columns;
      cuts_.push_back({std::uint32_t(index), std::uint32_t(image), std::uint32_t(row),
                       std::uint32_t(row_at(band % row_cuts + 1) - row), std::uint32_t(column),
                       std::uint32_t(std::min(columns, part.n - column))});
    }
  }

  std::vector<Cut> cuts_;
  RoundedRows rounded_;
  ResultTail tail_;
};

constexpr std::size_t pad_to_panel(std::size_t n) { return align_up(n, kPanel); }

}  // namespace quaver
