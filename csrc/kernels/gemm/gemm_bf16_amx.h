// The bf16 product on tiles: a tdpbf16ps is 16 rows × 16 columns × 16 pairs. Internal linkage, for kernel files.
//
// Blocks of at most 32 rows meet pairs of panels, as in the u8 product, all of a slab one pair before the next: weights
// come from far off, once, while the blocks before are multiplied. A tile of weights lies in its panel as it is read;
// rows are first laid out likewise, what both sums multiply next side by side. Floats are rounded by the way.
#pragma once

#include "kernels/gemm/amx_waiting.h"
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
        grid_(g_.pitch > 0),
        m_(grid_ ? (g_.m - 1) / g_.width * g_.pitch + (g_.m - 1) % g_.width + 1 : g_.m),
        // As many rows in each block: a tile's time is that of its rows.
        block_rows_(ceil_div(m_, ceil_div(m_, kBlockRows))),
        slab_rows_(grid_ ? m_ : kSlab * block_rows_),
        part_(grid_ ? stretches_ : kPart),
        strip_(grid_ ? 2 * kColumns : kStrip),
        bounded_before_(g_.pre_lo != -__builtin_inff() || g_.pre_hi != __builtin_inff()),
        waiting_(grid_ ? g_.width : g_.m, grid_ ? g_.pitch : g_.m) {}

  void run() {
    for (std::size_t j = 0; j < g_.n; j += strip_) {
      for (std::size_t i = 0; i < m_; i += slab_rows_) slab(i, j, least(g_.n, j + strip_));
    }
    finish_rows(waiting_.left);
    Tiles::release();
  }

 private:
  static constexpr std::size_t kColumns = kGemmBf16Panel, kBlockRows = 2 * kTileRows;
  static constexpr std::size_t kValues = 2 * kBf16Pairs, kTileValues = kBf16Pairs * 2 * kColumns;
  static constexpr std::size_t kStrip = 512;  // columns whose sums may have to wait for the next part of k
  static constexpr std::size_t kPart = 12;    // stretches whose rows stay in the first-level cache beside two panels
  static constexpr std::size_t kPairSums = kBlockRows * 2 * kColumns;
  static constexpr std::size_t kSlab = 4;  // blocks whose rows and sums stay in the second-level cache
  static constexpr std::size_t kLaidStride = kPart * kValues;

  void slab(std::size_t i, std::size_t j, std::size_t j_end) {
    const std::size_t end = least(m_, i + slab_rows_);
    slab_ = i;
    for (first_ = 0; first_ < stretches_; first_ += count_) {
      count_ = least(part_, stretches_ - first_);
      if (!grid_) lay_rows(i, end);
      float* sums = sums_;
      for (std::size_t at = j; at < j_end; at += 2 * kColumns) {
        ahead_ = weights_after(at, j, j_end);
        for (std::size_t row = i; row < end; row += rows_, sums += kPairSums) block(row, i, end, at, sums);
      }
    }
  }

  void block(std::size_t row, std::size_t begin, std::size_t end, std::size_t column, float* sums) {
    rows_ = least(block_rows_, end - row);
    upper_ = least(rows_, kTileRows);
    // Each block asks for its share of the weights that come next.
    fetch_ = (row - begin) * kBf16Pairs / (end - begin);
    fetch_end_ = (row + rows_ - begin) * kBf16Pairs / (end - begin);
    tiles_.configure(upper_, rows_ > upper_ ? rows_ - upper_ : 1, kBf16Pairs);
    if (g_.n - column > kColumns) {
      rows_ > upper_ ? sum<2, 2>(row, column, sums) : sum<1, 2>(row, column, sums);
    } else {
      rows_ > upper_ ? sum<2, 1>(row, column, sums) : sum<1, 1>(row, column, sums);
    }
  }

  // Weights of the pair of panels that is multiplied after those at `column`.
  const std::uint16_t* weights_after(std::size_t column, std::size_t j, std::size_t j_end) const {
    std::size_t first = first_;
    column += 2 * kColumns;
    if (column >= j_end) {
      first += count_;
      column = first < stretches_ ? j : j_end;
      first = first < stretches_ ? first : 0;
    }
    return g_.w + column / kColumns * panel_ + first * kTileValues;
  }

  // The part's values of rows [i, end), zeros after the last.
  void lay_rows(std::size_t i, std::size_t end) {
    const std::size_t begin = first_ * kValues;
    const auto each = [&](auto lay) {
      for (std::size_t row = i; row < end; ++row) lay(row, laid_ + (row - i) * kLaidStride);
    };
    if (g_.a_is_f32) return each([&](std::size_t row, std::uint16_t* to) { lay_floats(row, to); });
    if (g_.taps == 1) {
      return each([&](std::size_t row, std::uint16_t* to) {
        arrange(row_of<std::uint16_t>(g_, row, 0) + begin, g_.k - begin, to);
      });
    }
    const std::size_t count = least(g_.taps * tap_values() - begin, count_ * kValues);
    each([&](std::size_t row, std::uint16_t* to) { gather(row, begin, count, to); });
    // Later, when what was stored in pieces can be loaded whole.
    each([&](std::size_t, std::uint16_t* to) { arrange(to, count, to); });
  }

  std::size_t tap_values() const { return 2 * ceil_div(g_.k, 2); }

  // Of a row's taps in order the values from `begin` on.
  void gather(std::size_t i, std::size_t begin, std::size_t count, std::uint16_t* to) const {
    std::size_t t = begin / tap_values(), from = begin % tap_values();
    for (const std::uint16_t* end = to + count; to < end; ++t, from = 0) {
      const std::size_t values = least(tap_values() - from, static_cast<std::size_t>(end - to));
      copy(row_of<std::uint16_t>(g_, i, t) + from, least(g_.k - from, values), to);
      to += values;
    }
  }

  // The same of floats, in one tap.
  void lay_floats(std::size_t i, std::uint16_t* to) const {
    const float* from = reinterpret_cast<const float*>(row_of<std::uint16_t>(g_, i, 0)) + first_ * kValues;
    std::size_t left = g_.k - first_ * kValues;
    for (std::size_t s = 0; s < count_; ++s, from += kValues, to += kValues, left -= kValues) {
      __m512 low, high;
      if (left >= kValues) {
        low = _mm512_loadu_ps(from), high = _mm512_loadu_ps(from + kTileRows);
      } else {
        const __mmask32 there = values(left);
        low = _mm512_maskz_loadu_ps(static_cast<__mmask16>(there), from);
        high = _mm512_maskz_loadu_ps(static_cast<__mmask16>(there >> 16), from + kTileRows);
      }
      _mm512_store_si512(to, in_turn(low, high));
    }
  }

  // With a zero after them.
  static void copy(const std::uint16_t* from, std::size_t n, std::uint16_t* to) {
    std::size_t p = 0;
    for (; p + kValues <= n; p += kValues) _mm512_storeu_si512(to + p, _mm512_loadu_si512(from + p));
    // What this writes past the values, the next tap or nobody reads.
    _mm512_storeu_si512(to + p, _mm512_maskz_loadu_epi16(values(n - p), from + p));
  }

  // n values as tiles take them, zeros after them.
  void arrange(const std::uint16_t* from, std::size_t n, std::uint16_t* to) const {
    for (std::size_t s = 0; s < count_; ++s) {
      const std::size_t p = s * kValues;
      const __m512i x =
          p + kValues <= n ? _mm512_loadu_si512(from + p) : _mm512_maskz_loadu_epi16(values(n - p), from + p);
      _mm512_storeu_si512(to + p, in_turn(x));
    }
  }

  // The first n < 32.
  static __mmask32 values(std::size_t n) { return (1U << n) - 1; }

  // Tiles of R × N.
  template <int R, int N>
  void sum(std::size_t i, std::size_t j, float* sums) {
    constexpr std::size_t kStride = N * kColumns * sizeof(float);
    if (first_ == 0) {
      const float* bias = bias_at<N>(j);
      load_sums<R, N>(bias, bias, 0);
    } else {
      load_sums<R, N>(sums, sums + upper_ * N * kColumns, kStride);
    }
    const std::size_t share = ceil_div(waiting_.left, count_);
    const std::uint16_t* w = g_.w + j / kColumns * panel_ + first_ * kTileValues;
    if (grid_) {
      const std::size_t run = g_.k / kValues;
      for (std::size_t t = 0; t < g_.taps; ++t, w += run * kTileValues) {
        const auto* a = reinterpret_cast<const char*>(g_.a) + i * g_.a_stride + g_.offsets[t];
        multiply<R, N>(reinterpret_cast<const std::uint16_t*>(a), g_.a_stride, run, w, share, t * run);
      }
    } else {
      multiply<R, N>(laid_ + (i - slab_) * kLaidStride, kLaidStride * sizeof(std::uint16_t), count_, w, share, 0);
    }
    finish_rows(waiting_.left);
    const bool last = first_ + count_ == stretches_;
    store_sums<R, N>(last ? waiting_sums_ : sums, upper_);
    if (last) waiting_.hold(waiting_sums_, i, rows_, j, N);
  }

  // So many stretches of rows, `stride` bytes apart, from the part's `before`-th on; after each, `share` of the rows
  // that wait are stored.
  template <int R, int N>
  [[gnu::always_inline]] void multiply(const std::uint16_t* a, std::size_t stride, std::size_t stretches,
                                       const std::uint16_t* w, std::size_t share, std::size_t before) {
    const std::uint16_t* next = ahead_ + before * kTileValues;
    const std::size_t lower = upper_ * stride / sizeof(std::uint16_t);
    for (std::size_t s = 0; s < stretches; ++s, a += kValues, w += kTileValues, next += kTileValues) {
      load<6>(w, kTileBytes);
      load<4>(a, stride);
      dot_bf16<0, 4, 6>();
      if constexpr (N > 1) load<7>(w + panel_, kTileBytes), dot_bf16<1, 4, 7>();
      if constexpr (R > 1) load<5>(a + lower, stride), dot_bf16<2, 5, 6>();
      if constexpr (R > 1 && N > 1) dot_bf16<3, 5, 7>();
      prefetch<N>(next);
      finish_rows(share);
    }
  }

  // Weights lie far off, where the last run has left them: the block's share of the next ones.
  template <int N>
  void prefetch(const std::uint16_t* w) const {
    for (std::size_t row = fetch_; row < fetch_end_; ++row) {
      __builtin_prefetch(w + row * 2 * kColumns, 0, 2);
      if constexpr (N > 1) __builtin_prefetch(w + panel_ + row * 2 * kColumns, 0, 2);
    }
  }

  // So many of those that wait, or fewer.
  [[gnu::always_inline]] void finish_rows(std::size_t count) {
    for (count = least(count, waiting_.left); count > 0;) {
      const std::size_t rows = least(count, waiting_.ready());
      if (waiting_.narrow() || g_.n - waiting_.column < 2 * kColumns) {
        waiting_.narrow() ? finish_some<1>(rows) : finish_some<2>(rows);
      } else {
        g_.r || bounded_before_ ? finish_whole<true>(rows) : finish_whole<false>(rows);
      }
      waiting_.pass(rows);
      count = least(count - rows, waiting_.left);
    }
  }

  // Not inline, and on copies: its constants and addresses keep the registers. `kAny`: not only [lo, hi].
  template <bool kAny>
  [[gnu::noinline]] void finish_whole(std::size_t rows) const {
    const GemmBf16Args g = g_;
    const float* at = waiting_.at;
    auto* c = reinterpret_cast<char*>(g.c + waiting_.column) + waiting_.row * g.c_stride;
    auto* r = g.r ? reinterpret_cast<const char*>(g.r + waiting_.column) + waiting_.row * g.r_stride : nullptr;
    for (; rows > 0; --rows, at += 2 * kColumns, c += g.c_stride, r += g.r ? g.r_stride : 0) {
      __m512 y[2] = {Zmm::load(at), Zmm::load(at + kColumns)};
      if constexpr (kAny) {
        write<GemmBf16Args, Zmm, 2>(g, y, reinterpret_cast<const float*>(r), reinterpret_cast<float*>(c));
      } else {
        Zmm::store(reinterpret_cast<float*>(c), Zmm::clamp(y[0], g.lo, g.hi));
        Zmm::store(reinterpret_cast<float*>(c) + kColumns, Zmm::clamp(y[1], g.lo, g.hi));
      }
    }
  }

  // The same for any columns, N vectors.
  template <int N>
  [[gnu::noinline]] void finish_some(std::size_t rows) const {
    const float* at = waiting_.at;
    for (std::size_t i = waiting_.row; rows > 0; --rows, ++i) {
      __m512 y[N];
      for (int v = 0; v < N; ++v, at += kColumns) y[v] = Zmm::load(at);
      finish<GemmBf16Args, Zmm, N>(g_, y, i, waiting_.column);
    }
  }

  template <int N>
  const float* bias_at(std::size_t j) {
    if (g_.n - j >= N * kColumns) return g_.bias + j;
    for (std::size_t c = 0; c < N * kColumns; ++c) bias_[c] = j + c < g_.n ? g_.bias[j + c] : 0;
    return bias_;
  }

  const GemmBf16Args g_;  // a copy, whose fields no store can change
  const std::size_t stretches_, panel_;
  const bool grid_;
  const std::size_t m_;  // rows multiplied, those between a grid's runs among them
  const std::size_t block_rows_, slab_rows_, part_, strip_;
  const bool bounded_before_;
  Tiles tiles_;
  WaitingSums<float> waiting_;

  std::size_t rows_, upper_;       // of the block, and of them in the upper tile
  std::size_t fetch_, fetch_end_;  // rows of each tile of the next weights
  std::size_t first_, count_;      // stretches of the part
  std::size_t slab_;               // its first row
  const std::uint16_t* ahead_;     // the weights that come next
  alignas(64) std::uint16_t laid_[kSlab * kBlockRows * kLaidStride + kValues];
  alignas(64) float waiting_sums_[kPairSums], bias_[2 * kColumns];
  alignas(64) float sums_[kStrip / (2 * kColumns) * kSlab * kPairSums];
};

// Rounds n values, of whole stretches.
void round_in_turn(const float* x, std::size_t n, std::uint16_t* out) {
  for (std::size_t p = 0; p < n; p += 2 * kBf16Pairs) {
    _mm512_storeu_si512(out + p, in_turn(_mm512_loadu_ps(x + p), _mm512_loadu_ps(x + p + kBf16Pairs)));
  }
}

void gemm_bf16_tiles(const GemmBf16Args& given) {
  flushing_denormals(given, [](const GemmBf16Args& g) { Bf16Product(g).run(); });
}

}  // namespace
}  // namespace quaver::kernels
