// The bf16 product on tiles: a tdpbf16ps is 16 rows × 16 columns × 16 pairs. Internal linkage, for kernel files.
//
// A block of at most 32 rows meets pairs of panels, as in the u8 product. A tile of weights lies in its panel as it is
// read; rows are first laid out likewise, what both sums multiply next side by side.
#pragma once

#include "kernels/gemm/amx_tiles.h"
#include "kernels/gemm/gemm_bf16_round.h"
#include "kernels/gemm/gemm_bf16_x86.h"
#include "kernels/gemm/zmm.h"

namespace quaver::kernels {
namespace {

// While tiles are multiplied, the sums before them become what is stored.
class Bf16Product {
 public:
  explicit Bf16Product(const GemmBf16Args& args)
      : g_(args),
        stretches_(bf16_stretches(g_.taps, g_.k)),
        panel_(stretches_ * kTileValues),
        // As many rows in each block: a tile's time is that of its rows.
        block_rows_(ceil_div(g_.m, ceil_div(g_.m, kBlockRows))) {}

  void run() {
    for (std::size_t j = 0; j < g_.n; j += kStrip) {
      for (std::size_t i = 0; i < g_.m; i += block_rows_) block(i, j, least(g_.n, j + kStrip));
    }
    finish_rows(waiting_.rows);
    Tiles::release();
  }

 private:
  static constexpr std::size_t kColumns = kGemmBf16Panel, kBlockRows = 2 * kTileRows;
  static constexpr std::size_t kValues = 2 * kBf16Pairs, kTileValues = kBf16Pairs * 2 * kColumns;
  static constexpr std::size_t kStrip = 512;  // columns whose sums may have to wait for the next part of k
  static constexpr std::size_t kPart = 12;    // stretches whose rows stay in the first-level cache beside two panels
  static constexpr std::size_t kPairSums = kBlockRows * 2 * kColumns;

  struct Waiting {
    const float* at;
    std::size_t i, j, rows = 0;
    bool narrow;
  };

  void block(std::size_t i, std::size_t j, std::size_t j_end) {
    rows_ = least(block_rows_, g_.m - i);
    upper_ = least(rows_, kTileRows);
    tiles_.configure(upper_, rows_ > upper_ ? rows_ - upper_ : 1, kBf16Pairs);
    for (first_ = 0; first_ < stretches_; first_ += count_) {
      count_ = least(kPart, stretches_ - first_);
      for (std::size_t r = 0; r < rows_; ++r) lay(i + r, laid_ + r * kPart * kValues);
      float* sums = sums_;
      for (std::size_t at = j; at < j_end; at += 2 * kColumns, sums += kPairSums) {
        if (g_.n - at > kColumns) {
          rows_ > upper_ ? sum<2, 2>(i, at, sums) : sum<1, 2>(i, at, sums);
        } else {
          rows_ > upper_ ? sum<2, 1>(i, at, sums) : sum<1, 1>(i, at, sums);
        }
      }
    }
  }

  // The part's values of a row, zeros after the last.
  void lay(std::size_t i, std::uint16_t* to) {
    const std::size_t begin = first_ * kValues;
    if (g_.taps == 1) return arrange(row_of<std::uint16_t>(g_, i, 0) + begin, g_.k - begin, to);
    const std::size_t tap = 2 * ceil_div(g_.k, 2), all = g_.taps * tap, end = least(all, begin + count_ * kValues);
    for (std::size_t p = begin; p < end;) {
      const std::size_t t = p / tap, from = p - t * tap, next = least(end, p - from + tap);
      copy(row_of<std::uint16_t>(g_, i, t) + from, least(g_.k - from, next - p), to + (p - begin));
      p = next;
    }
    arrange(to, end - begin, to);
  }

  // With a zero after them.
  static void copy(const std::uint16_t* from, std::size_t n, std::uint16_t* to) {
    std::size_t p = 0;
    for (; p + kValues <= n; p += kValues) _mm512_storeu_si512(to + p, _mm512_loadu_si512(from + p));
    // What this writes past the values, the next tap or nobody reads.
    _mm512_storeu_si512(to + p, _mm512_maskz_loadu_epi16(values(n - p), from + p));
  }

  // Stretches as tiles take them: of both sums what comes next, in turn.
  void arrange(const std::uint16_t* from, std::size_t n, std::uint16_t* to) const {
    alignas(64) static constexpr std::uint16_t kOrder[] = {1,  17, 0,  16, 3,  19, 2,  18, 5,  21, 4,
                                                           20, 7,  23, 6,  22, 9,  25, 8,  24, 11, 27,
                                                           10, 26, 13, 29, 12, 28, 15, 31, 14, 30};
    const __m512i order = _mm512_load_si512(kOrder);
    for (std::size_t s = 0; s < count_; ++s) {
      const std::size_t p = s * kValues;
      const __m512i x =
          p + kValues <= n ? _mm512_loadu_si512(from + p) : _mm512_maskz_loadu_epi16(values(n - p), from + p);
      _mm512_storeu_si512(to + p, _mm512_permutexvar_epi16(order, x));
    }
  }

  // The first n < 32.
  static __mmask32 values(std::size_t n) { return (1U << n) - 1; }

  // Tiles of R × N.
  template <int R, int N>
  void sum(std::size_t i, std::size_t j, float* sums) {
    constexpr std::size_t kStride = N * kColumns * sizeof(float), kLaid = kPart * kValues * sizeof(std::uint16_t);
    if (first_ == 0) {
      const float* bias = bias_at<N>(j);
      begin<R, N>(bias, bias, 0);
    } else {
      begin<R, N>(sums, sums + upper_ * N * kColumns, kStride);
    }
    const std::size_t share = ceil_div(waiting_.rows, count_);
    const std::uint16_t* w = g_.w + j / kColumns * panel_ + first_ * kTileValues;
    for (std::size_t s = 0; s < count_; ++s, w += kTileValues) {
      const std::uint16_t* a = laid_ + s * kValues;
      load<6>(w, kTileBytes);
      load<4>(a, kLaid);
      dot<0, 4, 6>();
      if constexpr (N > 1) load<7>(w + panel_, kTileBytes), dot<1, 4, 7>();
      if constexpr (R > 1) load<5>(a + upper_ * kPart * kValues, kLaid), dot<2, 5, 6>();
      if constexpr (R > 1 && N > 1) dot<3, 5, 7>();
      if (i == 0) prefetch<N>(w + N * panel_);
      finish_rows(share);
    }
    finish_rows(waiting_.rows);
    const bool last = first_ + count_ == stretches_;
    keep<R, N>(last ? waiting_sums_ : sums);
    if (last) waiting_ = {waiting_sums_, i, j, rows_, N == 1};
  }

  template <int R, int N>
  void keep(float* sums) const {
    constexpr std::size_t kStride = N * kColumns * sizeof(float);
    float* lower = sums + upper_ * N * kColumns;
    store<0>(sums, kStride);
    if constexpr (N > 1) store<1>(sums + kColumns, kStride);
    if constexpr (R > 1) store<2>(lower, kStride);
    if constexpr (R > 1 && N > 1) store<3>(lower + kColumns, kStride);
  }

  // The first rows find weights where they lay since the last run, far off, and ask for the next pair's.
  template <int N>
  void prefetch(const std::uint16_t* w) const {
#pragma GCC unroll 16
    for (std::size_t row = 0; row < kBf16Pairs; ++row, w += 2 * kColumns) {
      __builtin_prefetch(w, 0, 2);
      if constexpr (N > 1) __builtin_prefetch(w + panel_, 0, 2);
    }
  }

  // So many of those that wait, or fewer.
  [[gnu::always_inline]] void finish_rows(std::size_t count) {
    for (count = least(count, waiting_.rows); count > 0; --count) {
      waiting_.narrow ? finish_row<1>() : finish_row<2>();
      ++waiting_.i, --waiting_.rows;
    }
  }

  template <int N>
  void finish_row() {
    __m512 y[N];
    for (int v = 0; v < N; ++v, waiting_.at += kColumns) y[v] = Zmm::load(waiting_.at);
    finish<GemmBf16Args, Zmm, N>(g_, y, waiting_.i, waiting_.j);
  }

  template <int N>
  const float* bias_at(std::size_t j) {
    if (g_.n - j >= N * kColumns) return g_.bias + j;
    for (std::size_t c = 0; c < N * kColumns; ++c) bias_[c] = j + c < g_.n ? g_.bias[j + c] : 0;
    return bias_;
  }

  template <int R, int N>
  static void begin(const float* upper, const float* lower, std::size_t stride) {
    load<0>(upper, stride);
    if constexpr (N > 1) load<1>(upper + kColumns, stride);
    if constexpr (R > 1) load<2>(lower, stride);
    if constexpr (R > 1 && N > 1) load<3>(lower + kColumns, stride);
  }

  template <int kSums, int kRows, int kWeights>
  static void dot() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSums), "i"(kRows), "i"(kWeights));
  }

  const GemmBf16Args g_;  // a copy, whose fields no store can change
  const std::size_t stretches_, panel_, block_rows_;
  Tiles tiles_;
  Waiting waiting_;

  std::size_t rows_, upper_;   // of the block, and of them in the upper tile
  std::size_t first_, count_;  // stretches of the part
  alignas(64) std::uint16_t laid_[kBlockRows * kPart * kValues + kValues];
  alignas(64) float waiting_sums_[kPairSums], bias_[2 * kColumns];
  alignas(64) float sums_[kStrip / (2 * kColumns) * kPairSums];
};

void gemm_bf16_tiles(const GemmBf16Args& given) {
  flushing_denormals(given, [](const GemmBf16Args& g) { Bf16Product(g).run(); });
}

}  // namespace
}  // namespace quaver::kernels
