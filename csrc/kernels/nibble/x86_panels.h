// Products of bytes and weights of four bits for any vector width. Internal linkage, for kernel files.
//
//   T::kRows                  of a tile
//   T::vectors(rows)          its vectors of columns, whole panels
//   T::add_dot(acc, w, a)     acc + the products of w's bytes, each below 16, and the four signed ones that a repeats
#pragma once

#include "kernels/bytes_x86.h"
#include "kernels/nibble/lists.h"
#include "kernels/nibble/rows.h"

namespace quaver::kernels {
namespace {

constexpr int kVectorsOfPanel = kNibblePanel / kLanes;

inline Ints load_ints(const void* p) {
  Ints x;
  __builtin_memcpy(&x, p, sizeof x);
  return x;
}

inline Ints four_bytes(const std::int8_t* p) {
  std::int32_t four;
  __builtin_memcpy(&four, p, sizeof four);
  return splat(four);
}

inline Ints low_halves(Ints x) { return x & 0x0F0F0F0F; }
inline Ints high_halves(Ints x) { return (x >> 4) & 0x0F0F0F0F; }

// Of a panel's block, where vector v of a tile finds its part.
struct Place {
  const std::uint8_t* w;
  const float* scale;
  const std::uint8_t* zero;

  Place(const NibblePanelArgs& args, std::size_t panel, std::size_t v) {
    const std::size_t at = panel + v / kVectorsOfPanel, lane = v % kVectorsOfPanel * kLanes;
    w = args.w + at * args.shape.panel_bytes() + lane * 4;
    scale = args.scale + at * args.shape.blocks() * kNibblePanel + lane;
    zero = args.zero + at * args.shape.blocks() * kNibblePanel + lane;
  }
};

// R rows from i on, N vectors of columns from a panel on.
template <class T, int R, int N>
void panel_tile(const NibblePanelArgs& args, std::size_t i, std::size_t panel) {
  const std::size_t blocks = args.shape.blocks(), block = args.shape.block, block_bytes = block * kNibblePanel / 2;
  Floats y[R][N] = {};
  for (std::size_t b = 0; b < blocks; ++b) {
    Ints acc[R][N];
    const std::uint8_t* w[N];
#pragma GCC unroll 8
    for (int v = 0; v < N; ++v) {
      const Place place(args, panel, v);
      w[v] = place.w + b * block_bytes;
      const Ints zero = load_bytes(place.zero + b * kNibblePanel);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) acc[r][v] = zero * -args.sum[(i + r) * blocks + b];
    }
    const std::int8_t* q = args.q + (i * blocks + b) * block;
    for (std::size_t p = 0; p < block; p += kNibbleStep) {
#pragma GCC unroll 8
      for (int v = 0; v < N; ++v) {
        const Ints bytes = load_ints(w[v] + p / kNibbleStep * 64);
        const Ints low = low_halves(bytes), high = high_halves(bytes);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
          const std::int8_t* row = q + r * blocks * block + p;
          acc[r][v] = T::add_dot(T::add_dot(acc[r][v], low, four_bytes(row)), high, four_bytes(row + 4));
        }
      }
    }
#pragma GCC unroll 8
    for (int v = 0; v < N; ++v) {
      const Floats scale = load_floats(Place(args, panel, v).scale + b * kNibblePanel);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        y[r][v] = fused(to_floats(acc[r][v]), scale * args.step[(i + r) * blocks + b], y[r][v]);
      }
    }
  }
  for (int r = 0; r < R; ++r) {
    float out[N * kLanes];
    for (int v = 0; v < N; ++v) store_floats(out + v * kLanes, y[r][v]);
    const std::size_t j = panel * kNibblePanel, count = args.shape.n - j < N * kLanes ? args.shape.n - j : N * kLanes;
    for (std::size_t l = 0; l < count && args.bias; ++l) out[l] = out[l] + args.bias[j + l];
    __builtin_memcpy(args.c + (i + r) * args.c_stride + j, out, count * sizeof(float));
  }
}

template <class T, int R>
void panel_rows(const NibblePanelArgs& args, std::size_t i, std::size_t count) {
  if constexpr (R > 1) {
    if (count < R) return panel_rows<T, R - 1>(args, i, count);
  }
  constexpr int kVectors = T::vectors(R);
  const std::size_t panels = args.shape.panels();
  std::size_t panel = 0;
  for (; panel + kVectors / kVectorsOfPanel <= panels; panel += kVectors / kVectorsOfPanel) {
    panel_tile<T, R, kVectors>(args, i, panel);
  }
  for (; panel < panels; ++panel) panel_tile<T, R, kVectorsOfPanel>(args, i, panel);
}

template <class T>
void nibble_panels(const NibblePanelArgs& args) {
  for (std::size_t i = 0; i < args.m; i += T::kRows) {
    panel_rows<T, T::kRows>(args, i, args.m - i < T::kRows ? args.m - i : T::kRows);
  }
}

// A block's weights from p on for the lanes of a vector, `count` of them.
inline void reals_of_block(const std::uint8_t* w, Floats zero, Floats scale, std::size_t count, float* out) {
  for (std::size_t first = 0; first < count; first += kNibbleStep, w += 64) {
    const Ints q = load_ints(w);
#pragma GCC unroll 8
    for (std::size_t t = 0; t < kNibbleStep; ++t) {
      if (first + t == count) return;
      const Ints one = (q >> static_cast<int>(t % 4 * 8 + t / 4 * 4)) & 15;
      store_floats(out + (first + t) * kNibblePanel, (to_floats(one) - zero) * scale);
    }
  }
}

void reals_of_panel(const NibblePanelArgs& args, std::size_t panel, float* out) {
  const std::size_t k = args.shape.k, block = args.shape.block;
  for (std::size_t v = 0; v < kVectorsOfPanel; ++v) {
    const Place place(args, panel, v);
    for (std::size_t b = 0, p = 0; p < k; ++b, p += block) {
      const Floats zero = to_floats(load_bytes(place.zero + b * kNibblePanel));
      reals_of_block(place.w + p * kNibblePanel / 2, zero, load_floats(place.scale + b * kNibblePanel),
                     k - p < block ? k - p : block, out + p * kNibblePanel + v * kLanes);
    }
  }
}

}  // namespace
}  // namespace quaver::kernels
