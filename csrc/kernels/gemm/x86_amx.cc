// The u8 product on tiles (Intel SDM vol. 1, chapter 18): 16 rows × 16 columns × 64 values along k an instruction.
//
// A block of at most 32 rows meets pairs of panels: two tiles of rows and two of weights give four of sums, and each
// that is loaded serves twice. A tile of weights is 16 quads of a panel as they lie. A product's rows are loaded from
// where they lie, too, and so are those on a grid, tap by tap; other rows of a convolution are first laid end to end.
//
// What is left of k below a tile's 64 bytes is taken by a tile that begins earlier, with zeros for the activations that
// have been multiplied already.
#include "kernels/gemm/amx_waiting.h"
#include "kernels/gemm/gemm_bf16_amx.h"
#include "kernels/gemm/gemm_u8_finish.h"
#include "kernels/gemm/rows.h"
#include "kernels/gemm/variants.h"
#include "kernels/gemm/zmm.h"

namespace quaver::kernels {
namespace {

constexpr std::size_t kTileQuads = 16;
constexpr std::size_t kPanel = 16, kPanelQuad = 64;
constexpr std::size_t kBlockRows = 2 * kTileRows;
constexpr std::size_t kPairSums = kBlockRows * 2 * kPanel;

template <int kSums, int kRows, int kWeights>
inline void dot() {
  asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSums), "i"(kRows), "i"(kWeights));
}

// What meets at once: a block's rows, a strip's columns, a part of k.
struct Part {
  static constexpr std::size_t kQuads = 128;    // whose rows, laid, stay in the first-level cache beside two panels
  static constexpr std::size_t kColumns = 512;  // whose sums may have to wait for the next part

  std::size_t j = 0, j_end = 0, i = 0, rows = 0, first = 0, count = 0;  // columns, rows, quads
};

inline __m512i load_part(const std::uint8_t* p, __mmask64 bytes) { return _mm512_maskz_loadu_epi8(bytes, p); }

constexpr std::size_t kLaidStride = Part::kQuads * 4 + 2 * kTileBytes;

// Lays a part's rows end to end, each tap's k padded with zeros.
void lay(const GemmU8Args& g, const Part& part, std::uint8_t* to) {
  const std::size_t tap_quads = ceil_div(g.k, 4);
  std::size_t t = part.first / tap_quads, q = part.first - t * tap_quads;
  for (std::size_t left = part.count; left > 0; q = 0, ++t) {
    const std::size_t run = least(tap_quads - q, left), bytes = least(4 * run, g.k - 4 * q), whole = bytes / 64 * 64;
    const __mmask64 rest = ~(~std::uint64_t{0} << bytes % 64);
    for (std::size_t r = 0; r < part.rows; ++r) {
      const std::uint8_t* from = row_of<std::uint8_t>(g, part.i + r, t) + 4 * q;
      std::uint8_t* row = to + r * kLaidStride;
      for (std::size_t p = 0; p < whole; p += 64) _mm512_storeu_si512(row + p, _mm512_loadu_si512(from + p));
      // What this writes past the run, the next tap or nobody reads.
      if (rest) _mm512_storeu_si512(row + whole, load_part(from + whole, rest));
    }
    to += 4 * run;
    left -= run;
  }
}

// Tap by tap in whole tiles, or in one lower than those.
bool reads_grid(std::size_t k) { return k % kTileBytes == 0 || (k < kTileBytes && k % 4 == 0); }

// While tiles are multiplied, the sums before them become what is stored.
template <Finish kFinish>
class Product {
 public:
  explicit Product(const GemmU8Args& args)
      : g_(args),
        quads_(g_.taps * ceil_div(g_.k, 4)),
        step_(quads_ * kPanelQuad),
        grid_(g_.pitch > 0 && reads_grid(g_.k)),
        waiting_(grid_ ? g_.width : g_.m, grid_ ? g_.pitch : g_.m),
        m_(grid_ ? (g_.m - 1) / g_.width * g_.pitch + (g_.m - 1) % g_.width + 1 : g_.m),
        lays_(!grid_ && (g_.offsets || (quads_ < kTileQuads && g_.k % 4))),
        tile_quads_(least(grid_ ? g_.k / 4 : quads_, kTileQuads)),
        part_quads_(grid_ ? quads_ : even_part(quads_)),
        strip_(grid_ ? 2 * kPanel : Part::kColumns),
        pairs_(g_) {}

  void run() {
    for (part_ = part_at(0, 0, 0); part_.rows > 0; part_ = after(part_)) {
      find_rows();
      sum_all();
    }
    finish_rest();
    tiles_.release();
  }

 private:
  static constexpr bool kBytes = kFinish == Finish::plain || kFinish == Finish::added;

  // Where sums lie, and the row and column of the first.
  struct Place {
    const std::int32_t* at;
    std::size_t i, j;
  };
  Place next() const { return {waiting_.at, waiting_.row, waiting_.column}; }

  // Parts of about the same size, of whole tiles but for the last, which may have half a tile more.
  static std::size_t even_part(std::size_t quads) {
    const std::size_t even = ceil_div(quads, ceil_div(quads, Part::kQuads));
    return ceil_div(even, kTileQuads) * kTileQuads;
  }

  Part part_at(std::size_t j, std::size_t i, std::size_t first) const {
    const std::size_t left = quads_ - first;
    // A few quads more are no part of their own.
    const std::size_t count = left <= part_quads_ + kTileQuads / 2 ? left : part_quads_;
    return {j, least(g_.n, j + strip_), i, least(kBlockRows, m_ - i), first, count};
  }

  // The next one, of no rows after the last.
  Part after(const Part& part) const {
    if (part.first + part.count < quads_) return part_at(part.j, part.i, part.first + part.count);
    if (part.i + part.rows < m_) return part_at(part.j, part.i + part.rows, 0);
    return part.j_end < g_.n ? part_at(part.j_end, 0, 0) : Part{};
  }

  void find_rows() {
    const std::size_t block = part_.i / kBlockRows, blocks = grid_ ? ceil_div(m_, kBlockRows) : 1;
    fetch_ = least(tile_quads_, tile_quads_ * block / blocks);
    fetch_end_ = least(tile_quads_, tile_quads_ * (block + 1) / blocks);
    upper_ = part_.rows > kTileRows ? (part_.rows + 1) / 2 : part_.rows;
    tiles_.configure(upper_, part_.rows > upper_ ? part_.rows - upper_ : 1, tile_quads_);
    if (lays_) lay(g_, part_, laid_);
    at_ = lays_ ? laid_ : g_.a + part_.i * g_.a_stride + 4 * part_.first;
    stride_ = lays_ ? kLaidStride : g_.a_stride;
    tail_ = 0;
    if (grid_) return;
    // Of the last quad, bytes that are not there.
    const std::size_t end = 4 * (part_.first + part_.count), past = !lays_ && end > g_.k ? end - g_.k : 0;
    const std::size_t rest = part_.count % kTileQuads;
    tail_ = quads_ < kTileQuads ? 0 : rest ? rest : past ? kTileQuads : 0;
    if (tail_ == 0) return;
    const __mmask64 bytes = (~std::uint64_t{0} << (kTileBytes - 4 * tail_)) & (~std::uint64_t{0} >> past);
    for (std::size_t r = 0; r < part_.rows; ++r) {
      const std::uint8_t* row_end = at_ + r * stride_ + 4 * part_.count;
      _mm512_store_si512(tails_ + r * kTileBytes, load_part(row_end - kTileBytes, bytes));
    }
  }

  void sum_all() {
    const bool two = part_.rows > upper_;
    runs_ = grid_ ? g_.taps : 1;
    steps_ = quads_ < kTileQuads ? 1 : (part_.count - tail_) / tile_quads_ / runs_;
    std::int32_t* sums = sums_;
    for (std::size_t j = part_.j; j < part_.j_end; j += 2 * kPanel, sums += kPairSums) {
      if (g_.n - j > kPanel) {
        two ? sum<2, 2>(j, sums) : sum<1, 2>(j, sums);
      } else {
        two ? sum<2, 1>(j, sums) : sum<1, 1>(j, sums);
      }
    }
  }

  // Tiles of R × N.
  template <int R, int N>
  void sum(std::size_t j, std::int32_t* sums) {
    const std::int8_t* w = g_.w + j / kPanel * step_ + part_.first * kPanelQuad;
    begin<R, N>(j, sums);
    const std::size_t lower = upper_ * stride_, steps = runs_ * steps_;
    const std::size_t share = steps ? ceil_div(ceil_div(waiting_.left, 2), steps) : 0;
    for (std::size_t run = 0; run < runs_; ++run) {
      const std::uint8_t* a = grid_ ? at_ + g_.offsets[run] : at_;
      for (std::size_t s = 0; s < steps_; ++s, a += kTileBytes, w += tile_quads_ * kPanelQuad) {
        multiply<R, N>(a, stride_, lower, w);
        prefetch<N>(w + N * step_);
        finish(share);
      }
    }
    if (tail_ > 0) {
      w -= (kTileQuads - tail_) * kPanelQuad;
      multiply<R, N>(tails_, kTileBytes, upper_ * kTileBytes, w);
    }
    finish_rest();
    if (part_.first + part_.count < quads_) return store_sums<R, N>(sums, upper_);
    store_sums<R, N>(waiting_sums_, upper_);
    waiting_.hold(waiting_sums_, part_.i, part_.rows, j, N);
  }

  template <int R, int N>
  void begin(std::size_t j, const std::int32_t* sums) const {
    const bool start = part_.first == 0;
    const std::int32_t* upper = start ? g_.bias + j : sums;
    const std::int32_t* lower = start ? upper : sums + upper_ * N * kPanel;
    const std::size_t stride = start ? 0 : N * kPanel * 4;
    load_sums<R, N>(upper, lower, stride);
  }

  template <int R, int N>
  void multiply(const std::uint8_t* a, std::size_t stride, std::size_t lower, const std::int8_t* w) const {
    load<6>(w, kPanelQuad);
    load<4>(a, stride);
    dot<0, 4, 6>();
    if constexpr (N > 1) load<7>(w + step_, kPanelQuad), dot<1, 4, 7>();
    if constexpr (R > 1) load<5>(a + lower, stride), dot<2, 5, 6>();
    if constexpr (R > 1 && N > 1) dot<3, 5, 7>();
  }

  // Weights lie far off, where the last run has left them: the block's share of the next panels'.
  template <int N>
  void prefetch(const std::int8_t* w) const {
    for (std::size_t q = fetch_; q < fetch_end_; ++q) {
      __builtin_prefetch(w + q * kPanelQuad, 0, 2);
      if constexpr (N > 1) __builtin_prefetch(w + step_ + q * kPanelQuad, 0, 2);
    }
  }

  // Of the sums that wait, as many groups of four vectors.
  [[gnu::always_inline]] void finish(std::size_t groups) {
    while (groups > 0 && waiting_.left > 0) {
      const bool narrow = waiting_.narrow(), whole = g_.n - waiting_.column >= (narrow ? kPanel : 2 * kPanel);
      const std::size_t rows = narrow ? 4 : 2, count = least(groups, waiting_.ready() / rows);
      if (kFinish == Finish::any || (kFinish == Finish::reals && !whole) || count == 0) {
        finish_row();
        --groups;
        continue;
      }
      if (narrow) {
        whole ? finish_groups<4, 1, true>(count) : finish_groups<4, 1, false>(count);
      } else {
        whole ? finish_groups<2, 2, true>(count) : finish_groups<2, 2, false>(count);
      }
      waiting_.pass(rows * count);
      groups -= count;
    }
  }

  // Not inline, and on copies, which no store of bytes can change: its constants and addresses keep the registers.
  template <int R, int N, bool kWhole>
  [[gnu::noinline]] void finish_groups(std::size_t count) const {
    if constexpr (kWhole || kBytes) {
      const GemmU8Args g = g_;
      const Finisher<Zmm, R, N, kFinish> finisher(g, pairs_);
      Place t = next();
      for (std::size_t group = 0; group < count; ++group, t.at += R * N * kPanel, t.i += R) {
        finisher.template group<0, kWhole>(t);
      }
    }
  }

  // One row, of any columns.
  [[gnu::noinline]] void finish_row() {
    waiting_.narrow() ? finish_row<1>() : finish_row<2>();
    waiting_.pass(1);
  }

  template <int N>
  void finish_row() {
    const Place t = next();
    if constexpr (kBytes) {
      Finisher<Zmm, 1, N, kFinish>(g_, pairs_).template group<0, false>(t);
    } else {
      finish_any<Zmm, 1, N>(g_, t.at, t.i, t.j);
    }
  }

  void finish_rest() { finish(SIZE_MAX); }

  const GemmU8Args g_;  // a copy, whose fields no store of bytes can change
  const std::size_t quads_, step_;
  const bool grid_;
  WaitingSums<std::int32_t> waiting_;
  const std::size_t m_;  // rows multiplied, those between a grid's runs among them
  const bool lays_;
  const std::size_t tile_quads_, part_quads_, strip_;
  const Finisher<Zmm, 2, 2, kFinish> pairs_;
  Tiles tiles_;

  Part part_;
  const std::uint8_t* at_;             // its rows,
  std::size_t stride_, upper_, tail_;  // bytes between them, how many are in the upper tile; quads of the last tile
  std::size_t runs_, steps_;           // whole tiles along k: so many times so many that lie in a row

  std::size_t fetch_, fetch_end_;  // quads of each tile of the next weights

  alignas(64) std::int32_t waiting_sums_[kPairSums];
  alignas(64) std::uint8_t tails_[kBlockRows * kTileBytes];
  alignas(64) std::uint8_t laid_[kBlockRows * kLaidStride];
  alignas(64) std::int32_t sums_[Part::kColumns / (2 * kPanel) * kPairSums];
};

void gemm_u8(const GemmU8Args& g) {
  switch (finish_of(g)) {
    case Finish::plain: return Product<Finish::plain>(g).run();
    case Finish::added: return Product<Finish::added>(g).run();
    case Finish::reals: return Product<Finish::reals>(g).run();
    case Finish::any: return Product<Finish::any>(g).run();
  }
}

// A tile is 64 values along k. To lay a tap's row takes the time of about as many products as here by dot instructions.
bool pays(std::size_t m, std::size_t n, std::size_t k, std::size_t taps) {
  return m >= 4 && k * taps >= 64 && (taps == 1 || k * n >= 1024);
}

}  // namespace

const GemmU8Kernel gemm_u8_amx = {"gemm_u8_amx_32x32", Isa::amx, {}, 32, 32, gemm_u8, pays, reads_grid};
const GemmBf16Kernel gemm_bf16_amx = {"gemm_bf16_amx_32x32", Isa::amx,  32,   32,
                                      gemm_bf16_tiles,       round_all, true, round_in_turn};

}  // namespace quaver::kernels
