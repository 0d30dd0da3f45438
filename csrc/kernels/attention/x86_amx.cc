// Attention in bf16 on tiles: 32 rows of queries meet 32 keys, or 32 columns of values, at once. Sums go from tiles to
// where the next step reads them, and weights from there to where tiles are loaded.
#include "kernels/attention/bf16.h"
#include "kernels/attention/x86_bf16_pack.h"
#include "kernels/gemm/amx_tiles.h"
#include "kernels/gemm/rows.h"
#include "kernels/softmax/exp_x86.h"

namespace quaver::kernels {
namespace {

constexpr std::size_t kPanel = kAttentionPanel, kTileValues = kRun * kPanel;
static_assert(kAttentionRowsBf16 == 2 * kTileRows);

// One head. Rows, keys and columns past the last are multiplied too, and left out where sums are read.
class AmxAttention {
 public:
  explicit AmxAttention(const AttentionArgs& args)
      : args_(args), s_(args), depths_(ceil_div(args.depth, kRun)), keys_(ceil_div(args.keys, kRun)) {}

  void run() {
    tiles_.configure(kTileRows, kTileRows, kBf16Pairs);
    for (first_ = 0; first_ < args_.rows; first_ += kAttentionRowsBf16) {
      rows_ = least(args_.rows - first_, kAttentionRowsBf16);
      rows_ > kTileRows ? block<2>() : block<1>();
    }
    Tiles::release();
  }

 private:
  template <int R>
  void block() {
    lay_queries();
    for (std::size_t j = 0; j < args_.keys; j += 2 * kPanel) {
      multiply<R>(s_.q, s_.q_padded, args_.k, j, args_.keys, depths_, s_.x + j, s_.padded);
    }
    for (std::size_t r = 0; r < rows_; ++r) weigh(r);
    for (std::size_t o = 0; o < args_.v_depth; o += 2 * kPanel) {
      multiply<R>(s_.w, s_.padded, args_.v, o, args_.v_depth, keys_, results_, 2 * kPanel);
      for (std::size_t r = 0; r < rows_; ++r) divide(r, o);
    }
  }

  void lay_queries() {
    const float* q = static_cast<const float*>(args_.q) + first_ * args_.q_stride;
    for (std::size_t r = 0; r < rows_; ++r, q += args_.q_stride) {
      std::uint16_t* to = s_.q + r * s_.q_padded;
      for (std::size_t p = 0; p < args_.depth; p += kRun) {
        _mm512_store_si512(to + p, stretch_of(q + p, args_.depth - p));
      }
    }
  }

  // Columns [column, column + 32), or 16 where there are no more.
  template <int R>
  void multiply(const std::uint16_t* a, std::size_t a_stride, const void* packed, std::size_t column,
                std::size_t columns, std::size_t stretches, float* sums, std::size_t stride) {
    const auto* w = static_cast<const std::uint16_t*>(packed) + column / kPanel * stretches * kTileValues;
    if (columns - column > kPanel) {
      multiply<R, 2>(a, a_stride, w, stretches, sums, stride);
    } else {
      multiply<R, 1>(a, a_stride, w, stretches, sums, stride);
    }
  }

  template <int R, int N>
  static void multiply(const std::uint16_t* a, std::size_t a_stride, const std::uint16_t* w, std::size_t stretches,
                       float* sums, std::size_t stride) {
    zero<0>(), zero<1>(), zero<2>(), zero<3>();
    for (std::size_t s = 0; s < stretches; ++s, a += kRun, w += kTileValues) {
      load<6>(w, kTileBytes);
      load<4>(a, 2 * a_stride);
      dot_bf16<0, 4, 6>();
      if constexpr (N > 1) load<7>(w + stretches * kTileValues, kTileBytes), dot_bf16<1, 4, 7>();
      if constexpr (R > 1) load<5>(a + kTileRows * a_stride, 2 * a_stride), dot_bf16<2, 5, 6>();
      if constexpr (R > 1 && N > 1) dot_bf16<3, 5, 7>();
    }
    store<0>(sums, 4 * stride);
    if constexpr (N > 1) store<1>(sums + kPanel, 4 * stride);
    if constexpr (R > 1) store<2>(sums + kTileRows * stride, 4 * stride);
    if constexpr (R > 1 && N > 1) store<3>(sums + kTileRows * stride + kPanel, 4 * stride);
  }

  // From row r's products to its e as bf16, and their sum.
  void weigh(std::size_t r) {
    args_.mask ? weigh<true>(r) : weigh<false>(r);
    hidden_[r] = args_.hidden_is_zero && shows_nothing(args_, first_ + r);
  }

  template <bool kMasked>
  void weigh(std::size_t r) {
    const float* x = s_.x + r * s_.padded;
    const float* mask = kMasked ? args_.mask + (first_ + r) * args_.mask_stride : nullptr;
    const Floats scale = splat(args_.scale), none = splat(-__builtin_inff());
    const std::size_t keys = args_.keys, whole = keys / kRun * kRun;
    const auto score = [=](std::size_t j) {
      if constexpr (kMasked) return fused(load_floats(x + j), scale, load_floats(mask + j));
      return load_floats(x + j) * scale;
    };
    // The same at the end, where −inf follows the last.
    const auto last_score = [=](std::size_t j) {
      const __mmask16 there = lanes(j < keys ? keys - j : 0);
      Floats y = load_floats(x + j) * scale;
      if constexpr (kMasked) y = fused(load_floats(x + j), scale, (Floats)_mm512_maskz_loadu_ps(there, mask + j));
      return (Floats)_mm512_mask_blend_ps(there, (__m512)none, (__m512)y);
    };
    Floats most[2] = {none, none};
    const auto see = [&](std::size_t j, auto score) {
#pragma GCC unroll 2
      for (std::size_t v = 0; v < 2; ++v) most[v] = greater(score(j + v * kPanel), most[v]);
    };
    for (std::size_t j = 0; j < whole; j += kRun) see(j, score);
    if (whole < keys) see(whole, last_score);
    const Floats m = splat(greatest(greater(most[0], most[1])));
    LaneSums sums;
    const auto take = [&, to = s_.w + r * s_.padded](std::size_t j, auto score) {
      const Floats low = exp_lanes(score(j) - m), high = exp_lanes(score(j + kPanel) - m);
      sums.v[0] = sums.v[0] + low + high;
      _mm512_store_si512(to + j, in_turn((__m512)low, (__m512)high));
    };
    for (std::size_t j = 0; j < whole; j += kRun) take(j, score);
    if (whole < keys) take(whole, last_score);
    sums_[r] = sums.sum();
  }

  void divide(std::size_t r, std::size_t o) const {
    const bool nothing = hidden_[r] || (args_.nan_is_zero && sums_[r] != sums_[r]);
    float* c = static_cast<float*>(args_.c) + (first_ + r) * args_.c_stride;
    for (std::size_t v = 0; v < 2 && o < args_.v_depth; ++v, o += kPanel) {
      const Floats y = nothing ? Floats{} : load_floats(results_ + (2 * r + v) * kPanel) / sums_[r];
      _mm512_mask_storeu_ps(c + o, lanes(args_.v_depth - o), (__m512)y);
    }
  }

  const AttentionArgs& args_;
  const Bf16Scratch s_;
  const std::size_t depths_, keys_;  // stretches of each
  Tiles tiles_;
  std::size_t first_ = 0, rows_ = 0;
  float sums_[kAttentionRowsBf16];
  bool hidden_[kAttentionRowsBf16];
  alignas(64) float results_[kAttentionRowsBf16 * 2 * kPanel];
};

void attention_tiles(const AttentionArgs& args) { AmxAttention(args).run(); }

}  // namespace

const AttentionKernel kAttentionBf16Amx = {"attention_bf16_amx", Isa::amx, AttentionKind::bf16, &pack_bf16_stretches,
                                           &attention_tiles};

}  // namespace quaver::kernels
